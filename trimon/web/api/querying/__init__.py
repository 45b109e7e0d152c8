"""Queries, and what can be asked about series and their names."""
