"""The server's command line: its flags, what they mean, and the start."""
