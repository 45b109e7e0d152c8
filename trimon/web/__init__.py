"""The HTTP front: one table of endpoints by area, all of them over `WebContext`, behind one chain."""
