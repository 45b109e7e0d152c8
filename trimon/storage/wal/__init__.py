"""The write-ahead log: what a head did, in order, in segment files that belong to one run and window.

`cells` packs the values of a row, `frame` wraps records, `log` writes them, `replay` reads them back.
"""
