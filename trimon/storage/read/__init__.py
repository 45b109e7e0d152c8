"""From heads and blocks to one sample frame: snapshots, frame building, the frame cache, deletions."""
