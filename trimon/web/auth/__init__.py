"""Who may ask: TLS of the listener, users, tokens and roles, from the web config file, which is read again when it changes."""
