"""Columns of float64 as bytes and back, bit for bit, many columns at once."""
