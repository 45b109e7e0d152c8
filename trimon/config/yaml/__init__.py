"""The configuration's YAML as a tree with places, and what is wrong with it in Go's words."""
