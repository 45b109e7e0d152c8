"""Go's template language, as rules and consoles of Prometheus use it. Synchronous; bounded in steps, size, depth and time.

`lexer.py` and `parser.py` make nodes (`nodes.py`), `template.py` keeps them, `execution.py` walks them over Go's values
(`gotext/values.py`): no attribute of a Python object can be reached. `functions/` is the table of what templates may call,
`html/` escapes by context. The doors are `alerts.py` and `consoles.py`.
"""
