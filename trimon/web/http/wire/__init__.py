"""Sockets and connections: listening, accepting, TLS and HTTP/1.1 up to the application."""
