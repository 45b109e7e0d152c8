"""The actors of remote write: one a receiver, and who keeps their set."""
