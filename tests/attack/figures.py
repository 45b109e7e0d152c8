"""How an attack is started by hand and what it prints: its seed, and lines of tried, result and figure.

Every attack is a module here with a `main` that takes `--seed` and `--rounds`; the tests beside run the same functions with few
rounds. Long runs are made by hand, and their lines stand in `docs/operations.md`.
"""

from __future__ import annotations

import argparse
import secrets
import sys


def arguments(description: str, rounds: int) -> argparse.ArgumentParser:
    """The command line that every attack has: `--seed` (random when missing) and `--rounds`."""
    parser = argparse.ArgumentParser(
        description=description.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="one seed, one attack")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often it is tried")
    return parser


def figure(tried: str, result: str, number: str) -> None:
    """Print one line of the table: what was tried, what came of it, and the figure."""
    sys.stdout.write(f"| {tried} | {result} | {number} |\n")
    sys.stdout.flush()
