"""Discovery as actors: the sources, the hub, and what is known of both over restarts."""
