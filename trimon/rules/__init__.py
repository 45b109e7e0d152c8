"""Recording rules, as a synchronous core: files in, rows out.

`file.py` reads rule files, `recording.py` evaluates one rule, `session.py` turns its results into rows of a scrape group,
`group.py` keeps the rules of a group together with their schedule.
"""
