"""Time on the event loop: who is woken when, how late that is, and who holds the loop."""
