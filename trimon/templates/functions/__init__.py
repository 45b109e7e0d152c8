"""What templates may call: the table (`table.py`), and the functions and methods by family."""
