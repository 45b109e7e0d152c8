"""The store as actors: its only writer, and what cuts, merges, drops and copies blocks beside it."""
