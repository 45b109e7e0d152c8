"""The storage engine: heads in memory with their write-ahead logs, blocks on disk, and the store around them.

Reading order: `symbols`, `index` and `matching` (labels as codes), `group`, `loose` and `head` (samples in
memory), `codec/` (columns as bytes), `wal/` (the log), `block/` (the files), `partial_frames`, `merge` and `reading`
(one answer from many sources), `plan` and `jobs` (maintenance), `store` (the door). Nothing here imports
trio: it is synchronous and usable from a plain script.
"""
