"""The mechanisms that come with trimon, a file each: what a source is asked, and which labels its targets get.

They go through the same door as everybody's plug-ins. `trimon/config/discovery/table.py` has a row for each.
"""
