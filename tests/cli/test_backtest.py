"""`trimon rules backtest` as its user types it, over a directory and of a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commandline import Ran, run_trimon
from tests.support.process import running

START_S = 1_700_000_040
RULES = """\
groups:
- name: g
  interval: 1m
  rules:
  - {record: "job:up:sum", expr: "sum(up)"}
  - alert: Down
    expr: up == 0
    for: 2m
    annotations:
      text: "{{ $labels.instance }}\\nis down"
  - {alert: Never, expr: "up > 7"}
  - {alert: Fails, expr: "up * on () up"}
"""
TEXT = """\
group g of {file}, every 1m, 2023-11-14T22:14:00Z to 2023-11-14T22:33:00Z

  record job:up:sum: sum(up)
    20 samples in 1 series
    job:up:sum: 20 samples, from 2 to 1

  alert Down: up == 0
    1 alert, fired 2 times, for 7m
    {{alertname="Down", instance="a"}}: fired 2 times, for 7m
      2023-11-14T22:19:00Z  pending   0e+00
        text: a
          is down
      2023-11-14T22:21:00Z  firing    0e+00 after 2m
      2023-11-14T22:24:00Z  resolved  0e+00 after 3m
      2023-11-14T22:27:00Z  pending   0e+00
      2023-11-14T22:29:00Z  firing    0e+00 after 2m

  alert Never: up > 7
    0 alerts, never fired

  alert Fails: up * on () up
    20 of 20 evaluations failed, first at 2023-11-14T22:14:00Z: """
DIFFERENCE = """\
--- {old}
+++ {new}
2023-11-14T22:14:00Z to 2023-11-14T22:33:00Z

record job:up:sum of group g
  - 0 + 0 samples, 12 with another value
  first at 2023-11-14T22:19:00Z

alert Down of group g
  {{alertname="Down", instance="a"}}
    - active 2023-11-14T22:19:00Z, never fires, over 2023-11-14T22:24:00Z
    + active 2023-11-14T22:19:00Z, firing 2023-11-14T22:21:00Z, over 2023-11-14T22:24:00Z
    - active 2023-11-14T22:27:00Z, firing 2023-11-14T22:32:00Z, not over
    + active 2023-11-14T22:27:00Z, firing 2023-11-14T22:29:00Z, not over

alert Never of group g, only in {new}

alert Fails of group g, only in {new}
  evaluations that failed: - 0 + 20
"""
EARLIER = ("--start", "1000000000", "--end", "1000000600")
NOTHING = "no sample is stored between 2001-09-09T01:46:40Z and 2001-09-09T01:56:40Z\n"
SPAN = ("--start", str(START_S), "--end", "2023-11-14T22:33:00Z")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty minutes of two instances, one of which is down twice."""
    lines = ["# TYPE up gauge"]
    for minute in range(20):
        down = 5 <= minute < 10 or minute >= 13
        lines += [f'up{{instance="a"}} {int(not down)} {START_S + 60 * minute}']
        lines += [f'up{{instance="b"}} 1 {START_S + 60 * minute}']
    source = tmp_path / "source.txt"
    source.write_text("\n".join([*lines, "# EOF", ""]))
    made = run_trimon("tsdb", "create-blocks-from", "openmetrics", source, tmp_path / "data")
    assert made.exit_code == 0, made.output
    (tmp_path / "now.yml").write_text(RULES)
    before = RULES.split("  - {alert: Never", maxsplit=1)[0].replace("for: 2m", "for: 5m")
    (tmp_path / "before.yml").write_text(before.replace("sum(up)", "sum(up) - (sum(up) < bool 2) / 2"))
    return tmp_path / "data"


def run(data: Path, *arguments: str | Path) -> Ran:
    return run_trimon("rules", "backtest", data.parent / "now.yml", *SPAN, *arguments)


def test_the_timeline_of_a_directory(data: Path) -> None:
    """Every rule is shown with its query and what came of it, every change of an alert with how long it took."""
    ran = run(data, "--storage.tsdb.path", data)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(TEXT.format(file=data.parent / "now.yml")), ran.stdout
    one = run(data, "--storage.tsdb.path", data, "--rule", "Never", "--interval", "2m", "--format", "json")
    (group,) = json.loads(one.stdout)["groups"]
    assert group["interval"] == 120
    assert [(rule["name"], rule["evaluations"]) for rule in group["rules"]] == [("Never", 10)]


def test_versions_that_differ_are_exit_code_1(data: Path) -> None:
    """What FILE changes of --compare is shown as a difference of two texts is, with both names; the same rules are 0."""
    ran = run(data, "--storage.tsdb.path", data, "--compare", data.parent / "before.yml")
    shown = DIFFERENCE.format(old=data.parent / "before.yml", new=data.parent / "now.yml")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, shown, "")
    same = run(data, "--storage.tsdb.path", data, "--compare", data.parent / "now.yml")
    assert (same.exit_code, same.stdout) == (
        0,
        "no difference between {0} and {0}, 2023-11-14T22:14:00Z to 2023-11-14T22:33:00Z\n".format(
            data.parent / "now.yml"
        ),
    )


def test_a_server_tells_the_same(data: Path) -> None:
    """A running server gives the answer that its directory gives."""
    mine = run(data, "--storage.tsdb.path", data, "--compare", data.parent / "before.yml", "--format", "json")
    with running(data, "scrape_configs: []\n", "--storage.tsdb.retention.time=100y") as server:
        theirs = run(data, "--url", server.url, "--compare", data.parent / "before.yml", "--format", "json")
        one = run(data, "--url", server.url, "--rule", "Down", "--interval", "1m", "--timeout", "10s")
        missed = run(data, "--url", server.url, *EARLIER)
        (data.parent / "bad.yml").write_text("groups: [{name: g, rules: [{alert: A}]}]")
        bad = run_trimon("rules", "backtest", data.parent / "bad.yml", *SPAN, "--url", server.url)
        live = run(data, "--storage.tsdb.path", data)
    assert theirs.exit_code == 1, theirs.output
    assert json.loads(mine.stdout) == json.loads(theirs.stdout)
    assert one.stdout.startswith(f"group g of {data.parent / 'now.yml'}, every 1m")
    assert (missed.exit_code, missed.stderr) == (0, "# " + NOTHING)
    assert bad.exit_code == 2
    assert f'invalid parameter "rules": {data.parent / "bad.yml"}: ' in bad.stderr
    assert live.stderr.startswith(f"# {data} is that of a running server")
    assert "alert Down" in one.stdout
    assert "alert Never" not in one.stdout


def test_nothing_to_try_rules_on_is_told(data: Path) -> None:
    """A range without samples is answered with a warning, whether a block or an empty log is there."""
    ran = run(data, "--storage.tsdb.path", data, *EARLIER)
    assert (ran.exit_code, ran.stderr) == (0, "# " + NOTHING)
    empty = data.parent / "empty"
    (empty / "wal").mkdir(parents=True)
    assert run(data, "--storage.tsdb.path", empty, *EARLIER).stderr == "# " + NOTHING


def test_what_cannot_be_asked(data: Path) -> None:
    """What makes no sense is one line that says why."""
    directory = ("--storage.tsdb.path", data)
    for arguments, words in (
        ((*directory, "--url", "x"), "exclude one another"),
        ((*directory, "--end", "1000"), "--end is before --start"),
        ((*directory, "--rule", "X"), "there is no rule named X"),
        ((*directory, "--interval", "1ms"), "exceed the limit of 11000"),
        ((*directory, "--start", "yesterday"), 'cannot parse "yesterday"'),
        (("--url", "http://127.0.0.1:1"), "127.0.0.1:1"),
        (("--enable-feature", "x"), "a server has features of its own"),
        (("--storage.tsdb.path", data / "none"), "no such directory"),
        (("--storage.tsdb.path", data.parent), "neither a block nor a log"),
        (("--format", "xml"), "xml"),
        (("--compare", data / "none.yml"), "none.yml"),
    ):
        ran = run(data, *arguments)
        assert ran.exit_code == 2, arguments
        assert words in ran.stderr
        assert "Traceback" not in ran.stderr
