"""What a process imports before it knows that it needs it."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

# Large, and each of use to few servers: proxies, signatures, AWS, consoles, models of clouds and clusters.
LATER: Final = (
    "httpx",
    "cryptography",
    "jwt",
    "dns",
    "trimon.peers.aws",
    "trimon.templates.html",
    "trimon.config.discovery.aws",
    "trimon.config.discovery.clouds",
    "trimon.config.discovery.kubernetes",
    "trimon.discovery.mechanisms.kubernetes",
)


def test_a_server_imports_what_few_need_when_it_is_needed() -> None:
    """The server's own imports bring none of the libraries and models that only some configurations ask for."""
    code = "import sys, trimon.cli.main, trimon.cli.server.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert "trimon.server.server" in found
    assert [name for name in LATER if name in found] == []
