"""Text as Go reads and writes it, where clients compare it: floats, quoted strings, times, sizes, regular expressions."""
