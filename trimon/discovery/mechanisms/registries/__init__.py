"""Registries in which services enter themselves."""
