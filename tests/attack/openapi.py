"""Requests made from the server's own description of its API, by schemathesis, against the real server.

    python tests/attack/openapi.py [--rounds 200] [--seed 0]

A round is a request of every operation. Whatever is asked, nothing is a 5xx, a crash report or a traceback. Left out are the
stream of notifications, which has no end, and bodies in protobuf, which `remotewrite.py` attacks.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.support.process import Server

FLAGS = (
    "--web.enable-admin-api", "--web.enable-remote-write-receiver", "--query.timeout=5s",
    "--enable-feature=exemplar-storage,search-api",
)  # fmt: skip
LEFT_OUT = ("/notifications/live", "/trimon/actors/live", "/write", "/otlp/v1/metrics")
_PASSED = re.compile(r"(\d+) generated, (\d+) passed")


@dataclass
class Result:
    """What came of the requests."""

    generated: int = 0
    passed: int = 0
    report: str = ""
    crashes: list[str] = field(default_factory=list)
    tracebacks: int = 0


def run(folder: Path, seed: int, rounds: int) -> Result:
    """So many requests of each operation."""
    server = Server(folder / "data", None, *FLAGS).start()
    try:
        document = folder / "api.yaml"
        document.write_text(server.text("/api/v1/openapi.yaml")[1])
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run", str(document),
            f"--url={server.url}/api/v1", "--checks=not_a_server_error", "--phases=fuzzing", "--no-color",
            f"--max-examples={rounds}", f"--seed={seed}", "--request-timeout=30", "--continue-on-failure",
            *(f"--exclude-path={path}" for path in LEFT_OUT),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found = _PASSED.search(done.stdout)
        result = Result(report=done.stdout + done.stderr)
        if found is not None:
            result.generated, result.passed = int(found[1]), int(found[2])
        reports = server.get("/debug/crashes")
        result.crashes = [f"{report['path']}: {report['error']}" for report in reports]
        result.tracebacks = server.log.read_text(errors="replace").count("Traceback")
        assert server.stop() == 0
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
    return result


def main() -> None:
    """Sends the requests and prints what came of them."""
    options = arguments(__doc__ or "", 200).parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.seed, options.rounds)
    if result.passed != result.generated or not result.generated:
        sys.stderr.write(result.report)
    figure(
        f"{result.generated:,} requests made from the description (seed {options.seed})",
        f"{result.generated - result.passed} answers of 5xx, {len(result.crashes)} crash reports",
        f"{time.monotonic() - began_s:.0f} s",
    )


if __name__ == "__main__":
    main()
