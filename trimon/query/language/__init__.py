"""PromQL as text: tokens, parser, nodes, checker, printer. Knows no data."""
