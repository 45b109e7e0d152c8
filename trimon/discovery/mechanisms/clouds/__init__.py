"""Clouds that list what they run, page by page."""
