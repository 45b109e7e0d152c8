"""Sections that Prometheus does not have."""
