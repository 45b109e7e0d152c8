"""Discovery: where targets come from. The contract is in `plugin.py`, the way of a target group is

discovery.run(sink) -> CheckedSink (checked, bounded) -> Hub (put together per job) -> scrape pools.
"""
