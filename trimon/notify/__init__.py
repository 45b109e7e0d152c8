"""Alerts on their way to Alertmanagers: what is said, to whom, and in which words. Synchronous, no I/O."""
