"""Prometheus' own files: blocks and log read, blocks written. Only float samples.

`crc`, `varint` and `xor` are its encodings for many items at once; `index` and `block` read a block, `wal`
reads the log, `export` writes blocks.
"""
