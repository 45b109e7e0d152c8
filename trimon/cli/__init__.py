"""The command line: `flags.py` is the table of server flags, `main.py` the commands."""
