"""What the server's own /metrics shows of its actors: one module a subject, each makes metric families from live state."""
