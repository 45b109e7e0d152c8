"""Samples from other engines, and for them."""
