"""The HTTP front: one blueprint per API area, all of them over `WebContext`."""
