"""Backtests: rules over a stored range, with the state machine of the server. Synchronous, for threads; no I/O but reads.

A rule is evaluated at all its times at once where nothing it reads depends on what it or a later rule records; else the
rules between are evaluated one time after the other.
"""
