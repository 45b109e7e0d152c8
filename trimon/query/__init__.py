"""PromQL: text in, matrices out.

A query is text, tokens, syntax tree, checked tree, plan, and a result of float64[series, steps]. Nothing here
waits, opens a file or knows a thread: storage is seen through `trimon.model.snapshot.Snapshot` only.
`engine.py` is the door.
"""
