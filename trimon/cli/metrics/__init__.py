"""Metrics as text on the command line: read into families, looked over, counted, sent to a server."""
