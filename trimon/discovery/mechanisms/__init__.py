"""The mechanisms that come with trimon, a file each: what a source is asked, and which labels its targets get.

They go through the same door as everybody's plug-ins. `trimon/config/mechanisms.py` has a row for each.
"""
