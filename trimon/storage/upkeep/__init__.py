"""What keeps the store tidy: cuts of the head, merges, retention, deletions; plans above, changes below."""
