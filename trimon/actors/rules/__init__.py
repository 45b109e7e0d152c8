"""Rule groups as actors: one a group, the manager of all, what was missed, and the history of alerts."""
