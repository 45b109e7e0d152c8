"""Blocks: immutable directories of series and samples, metric-major, read through a memory map.

`meta` says what a block is, `container` is the file format of its index, `dictionary` and `columns` hold the
labels, `bands` and `timetable` the samples and their times, `writer` makes a block and `reader` opens one.
"""
