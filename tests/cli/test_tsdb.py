"""`trimon tsdb` as its user types it, and beside promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.commandline import Ran, run_trimon
from tests.support.process import peer, running

START_S = 1_700_000_000


def run(*arguments: str | Path) -> Ran:
    return run_trimon("tsdb", *arguments)


def output(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory made from an OpenMetrics file of 5 series and 3,000 samples."""
    lines = ["# TYPE a counter"]
    for index in range(600):
        lines += [
            f'a_total{{s="{series}"}} {index * series}.25 {START_S + 15 * index}' for series in range(5)
        ]
    source = tmp_path / "source.txt"
    source.write_text("\n".join([*lines, "# EOF", ""]))
    assert "5 series" in output(
        "create-blocks-from", "openmetrics", source, tmp_path / "data", "--label", "x=y"
    )
    return tmp_path / "data"


def test_backfilled_samples_are_all_there(data: Path) -> None:
    """Every sample of the file is in the blocks, with the label that was added."""
    lines = output("dump", data).splitlines()
    assert len(lines) == 3000
    assert lines[0] == f'{{__name__="a_total", s="0", x="y"}} 0.25 {START_S}000'
    some = output("dump", data, "--match", 'a_total{s="4"}', "--max-time", f"{START_S + 15}000").splitlines()
    assert [line.split()[-2:] for line in some] == [["0.25", f"{START_S}000"], ["4.25", f"{START_S + 15}000"]]


def test_list_analyze_verify(data: Path) -> None:
    """The blocks are listed, analysed and found in order; a flipped bit is found, and repair takes it away."""
    assert output("list", "-r", data).startswith("BLOCK ULID")
    assert "Total Series: 5" in output("analyze", data)
    assert "DAMAGED" not in output("verify", data)
    victim = max((path for path in data.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)
    damaged = run("verify", data)
    assert (damaged.exit_code, "DAMAGED" in damaged.stdout) == (1, True)
    output("repair", data)
    assert "DAMAGED" not in output("verify", data)


def test_openmetrics_round_trip(data: Path, tmp_path: Path) -> None:
    """What dump-openmetrics prints can be made blocks of again, bit by bit the same."""
    text = tmp_path / "again.txt"
    text.write_text(output("dump-openmetrics", data))
    output("create-blocks-from", "openmetrics", text, tmp_path / "again")
    assert output("dump", tmp_path / "again") == output("dump", data)


@pytest.mark.peer
def test_export_is_read_by_promtool_and_comes_back(data: Path, tmp_path: Path) -> None:
    """promtool lists and dumps exported blocks, and an import of them has the same samples."""
    promtool = peer("promtool")
    output("export-prometheus", data, tmp_path / "theirs")
    listed = subprocess.run(
        [promtool, "tsdb", "list", tmp_path / "theirs"], capture_output=True, text=True, check=True
    )
    assert sum(int(line.split()[4]) for line in listed.stdout.splitlines()[1:]) == 3000
    dumped = subprocess.run(
        [promtool, "tsdb", "dump", tmp_path / "theirs"], capture_output=True, text=True, check=True
    )
    assert sorted(dumped.stdout.splitlines()) == sorted(output("dump", data).splitlines())
    assert "3000 samples" in output("import-prometheus", tmp_path / "theirs", tmp_path / "back")
    assert output("dump", tmp_path / "back") == output("dump", data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 1\n# EOF\n", "expected timestamp"),
        ("a 1 1\n", "does not end with # EOF"),
        ("a x 1\n# EOF\n", "strconv.ParseFloat"),
        ("# EOF\na 1 1\n", "unexpected data after # EOF"),
    ],
)
def test_bad_files_are_refused(text: str, words: str, tmp_path: Path) -> None:
    """A file without timestamps or end, or with a bad line, is refused with the line's number."""
    source = tmp_path / "bad.txt"
    source.write_text(text)
    result = run("create-blocks-from", "openmetrics", source, tmp_path / "data")
    assert result.exit_code == 1
    assert words in result.stderr


def test_nothing_there(tmp_path: Path) -> None:
    """A directory that does not exist is one clear line and exit code 1."""
    result = run("list", tmp_path / "absent")
    assert result.exit_code == 1
    assert "no such directory" in result.stderr


RULES = """\
groups:
- name: g
  interval: 1m
  rules:
  - {record: "job:a:sum", expr: "sum by (x) (a_total)", labels: {team: t}}
  - {alert: A, expr: "a_total > 1"}
- name: h
  rules:
  - {record: "a:rate", expr: "rate(a_total{s='3'}[5m])", labels: {s: ""}}
"""


@pytest.mark.peer
def test_blocks_of_rules_are_those_of_promtool(data: Path, tmp_path: Path) -> None:
    """Recording rules give the series that promtool makes of the same server, at whole multiples of the interval."""
    tool = peer("promtool")
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    span = ("--start", str(START_S + 100), "--end", str(START_S + 8000))
    with running(data, "scrape_configs: []\n", "--storage.tsdb.retention.time=100y") as server:
        made = run(
            "create-blocks-from", "rules", "--url", server.url, *span, "--output-dir", tmp_path / "ours", file
        )
        assert made.exit_code == 0, made.output
        assert "A is an alerting rule and left out" in made.stderr
        theirs = [
            f"--url={server.url}",
            *(f"{name}={value}" for name, value in zip(span[::2], span[1::2], strict=True)),
        ]
        subprocess.run(
            [
                tool,
                "tsdb",
                "create-blocks-from",
                "rules",
                *theirs,
                f"--output-dir={tmp_path / 'theirs'}",
                str(file),
            ],
            check=True,
            capture_output=True,
        )
    (tmp_path / "theirs" / "wal").mkdir()
    dumped = subprocess.run(
        [tool, "tsdb", "dump", str(tmp_path / "theirs")], check=True, capture_output=True, text=True
    )
    mine, their = (_points(text) for text in (output("dump", tmp_path / "ours"), dumped.stdout))
    # Debian's promtool takes alerting rules for recording ones.
    assert mine.keys() == {labels for labels in their if '"A"' not in labels}
    for labels, points in mine.items():
        # Groups of promtool have phases of their own, and it asks in pieces.
        assert abs(len(points) - len(their[labels])) <= 2
    recorded = mine['{__name__="job:a:sum", team="t", x="y"}']
    assert all(time_ms % 60_000 == 0 for time_ms, _ in recorded)
    for time_ms, value in recorded:
        assert value == (time_ms // 1000 - START_S) // 15 * 10 + 5 * 0.25


def _points(dump: str) -> dict[str, list[tuple[int, float]]]:
    """Times and values of a dump, by series."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in dump.splitlines():
        labels, _, rest = line.rpartition("} ")
        value, time_ms = rest.split()
        found.setdefault(labels + "}", []).append((int(time_ms), float(value)))
    return found


def test_rules_whose_server_cannot_be_asked(tmp_path: Path) -> None:
    """A server that is not there, or times the wrong way round, are one line and no blocks."""
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    for options, words in (
        (("--url", "http://127.0.0.1:1", "--start", "1000"), "127.0.0.1:1"),
        (("--start", "2000", "--end", "1000"), "start time is not before end time"),
        (("--start", "4000000000"), "start time is not before end time: without --end it is 3 hours ago, 20"),
        (("--start", "yesterday"), 'cannot parse "yesterday" to a valid timestamp'),
    ):
        made = run("create-blocks-from", "rules", *options, "--output-dir", tmp_path / "out", file)
        assert made.exit_code != 0
        assert words in made.stderr
        assert "Traceback" not in made.stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True
