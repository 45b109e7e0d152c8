"""Targets: what they are, how their scrapes went, what relabeling makes of them."""
