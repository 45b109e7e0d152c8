"""From the bytes of an exposition to rows of samples; the synchronous core of a scrape target.

`target.py` says what to scrape, `exposition.py` and `openmetrics.py` read single lines, `layout.py` remembers the
lines of a body so that only numbers are read again, `relabel.py` rewrites labels, `session.py` puts it together.
"""
