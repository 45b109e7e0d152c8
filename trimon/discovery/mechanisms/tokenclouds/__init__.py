"""Clouds that are asked with a token which their identity service gives."""
