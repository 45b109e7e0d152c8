"""Escaping by context, as Go's html/template does it for consoles.

`context.py` is where a text is in a page, `tags.py`, `scripts.py` and `styles.py` say where it is after more text,
`escaping.py` walks through templates and gives every action the escapers of its place, `escapers.py` are those.
"""
