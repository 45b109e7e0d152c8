"""A real Prometheus over given samples: back-filled by promtool, asked over HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME
from trimon.query.conformance.memory import MemoryStore

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
START_TIMEOUT_S = 30


@contextmanager
def running(store: MemoryStore, folder: Path) -> Iterator[str]:
    """Prometheus with the samples of a store; gives its base URL."""
    assert PROMETHEUS is not None
    assert PROMTOOL is not None
    text = folder / "samples.om"
    with text.open("w") as out:
        for labels, series in store.series.items():
            name = dict(labels)[METRIC_NAME]
            pairs = ",".join(f"{label}={go_quote(text)}" for label, text in labels if label != METRIC_NAME)
            shown = f"{name}{{{pairs}}}"
            for time_ms, value in zip(series.times, series.values, strict=True):
                number = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(str(value), repr(value))
                out.write(f"{shown} {number} {time_ms / 1000:.3f}\n")
        out.write("# EOF\n")
    data = folder / "data"
    subprocess.run(
        [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
        check=True,
        capture_output=True,
    )
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    process = subprocess.Popen(
        [
            PROMETHEUS,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def ask(url: str, path: str, **params: Any) -> dict[str, Any]:
    """The JSON answer of an API route, errors included."""
    query = urllib.parse.urlencode(params)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    return found
