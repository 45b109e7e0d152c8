"""Configurations that do not hold yet: what they would change, and taking them over with a way back."""
