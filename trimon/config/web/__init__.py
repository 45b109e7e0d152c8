"""The web config file: TLS, users, tokens, roles."""
