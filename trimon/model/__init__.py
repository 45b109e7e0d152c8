"""The words every layer shares: labels, matchers, samples on the way in, frames on the way out.

Pure data, no I/O. `storage/` and `query/` meet only here: `rows.py` is what enters storage, `snapshot.py`
is the protocol by which it is read, `table.py` and `frame.py` are the shapes in which answers come.
"""
