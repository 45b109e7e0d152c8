"""How the server reaches others: TLS, credentials and proxies, made from configuration for whoever asks."""
