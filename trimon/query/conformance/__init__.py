"""The script language of Prometheus' own PromQL tests: loads, evaluations, expectations, and a runner.

`script.py` is the door; samples are kept in `memory.py`, a Snapshot without storage.
"""
