"""The same flipped bits in a block of Debian's prometheus, for comparison.

Each round flips one bit of a copy of a block made by promtool, starts prometheus on it and reads everything, twice.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.peer_prometheus import PROMETHEUS, PROMTOOL, ask
from tests.support.ports import free_port

SERIES: Final = 200
STEP_S: Final = 60
SAMPLES: Final = 110
START_S: Final = 1_700_006_400
READY_S: Final = 15.0

Values = dict[tuple[str, str], list[tuple[float, str]]]


def build(folder: Path) -> Path:
    """A data directory with one block of two hours."""
    assert PROMTOOL is not None, "promtool is not installed"
    text, data = folder / "samples.om", folder / "data"
    with text.open("w") as out:
        for series in range(SERIES):
            for step in range(SAMPLES):
                time_s = START_S + step * STEP_S
                out.write(f'metric_{series % 6}{{i="{series}"}} {series + step * 0.5} {time_s}\n')
        out.write("# EOF\n")
    command = [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    return data


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _read(port: int) -> Values | str:
    """All samples, or what the answer says instead."""
    end_s = START_S + SAMPLES * STEP_S
    answer = ask(
        f"http://127.0.0.1:{port}",
        "query",
        query=f'{{__name__=~"metric_.*"}}[{SAMPLES * STEP_S + 60}s]',
        time=end_s,
    )
    if answer["status"] != "success":
        return str(answer.get("error", "error"))
    return {
        (entry["metric"]["__name__"], entry["metric"].get("i", "")): [tuple(pair) for pair in entry["values"]]
        for entry in answer["data"]["result"]
    }


def flip_once(
    data: Path, folder: Path, dice: random.Random, truth: Values | None
) -> tuple[str, Values | None]:
    """What came of a bit in a copy; without a truth nothing is flipped, and what is read is the truth."""
    assert PROMETHEUS is not None, "prometheus is not installed"
    copy, log, port = folder / "copy", folder / "log", free_port()
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    if truth is not None:
        path = dice.choice([*copy.glob("*/index"), *copy.glob("*/chunks/*")])
        content = bytearray(path.read_bytes())
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
    (folder / "prometheus.yml").write_text("global: {}\n")
    command = [
        PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={copy}",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            if not _ready(process, port):
                return "no start", None
            found = [_read(port) for _ in range(2)]
        finally:
            process.kill()
    values = found[1]
    if truth is None:
        assert isinstance(values, dict), values
        return "", values
    told = "told in the log" if log.read_text().strip() else "untold"
    if isinstance(values, str):
        return f"every query over that time fails, {told}", None
    if values == truth:
        return "nothing is missing", None
    wrong = any(pair not in truth.get(key, []) for key, pairs in values.items() for pair in pairs)
    return f"{'wrong values' if wrong else 'samples are missing'}, {told}", None


def attack(seed: int, rounds: int) -> Counter[str]:
    """So many flips, each in a fresh copy: how often what came of it."""
    dice, results = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = build(folder)
        truth = flip_once(data, folder, dice, None)[1]
        assert truth is not None
        assert len(truth) == SERIES
        for _ in range(rounds):
            results[flip_once(data, folder, dice, truth)[0]] += 1
    return results
