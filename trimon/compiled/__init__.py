"""Loops in C where numpy's own cost is the floor; each has a twin in Python that runs where there is no compiled library."""
