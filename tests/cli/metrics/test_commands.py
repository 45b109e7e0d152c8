"""`trimon check metrics` and `push metrics` as their users type them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Server

TEXT = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",job="theirs"} 5
requests_total{code="500"} 1
# HELP size_bytes Sizes.
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 1
size_bytes_bucket{le="5"} 1
size_bytes_bucket{le="+Inf"} 3
size_bytes_sum 30
size_bytes_count 3
"""


def ran(*arguments: str, text: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trimon", *arguments]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False, cwd=cwd
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("push")
    server = Server(folder / "data", "global: {}\n", "--web.enable-remote-write-receiver").start()
    yield server
    server.stop()


def test_exit_codes_of_a_look_over_metrics() -> None:
    """0 for what is well, 3 for problems, 1 for what is no text of metrics; --lint=none looks for nothing."""
    assert ran("check", "metrics", text=TEXT).returncode == 0
    done = ran("check", "metrics", text="a 1\n")
    assert (done.returncode, done.stderr) == (3, "a no help text\n")
    assert ran("check", "metrics", "--lint=none", text="a 1\n").returncode == 0
    done = ran("check", "metrics", text="a b c\n")
    assert (done.returncode, done.stderr[:51]) == (1, "error while linting: text format parsing error in l")
    assert "40.00%" not in ran("check", "metrics", "--extended", text=TEXT).stderr


def test_a_refused_push_names_what_was_asked(server: Server) -> None:
    """A SERVER with the path of the receiver in it, which the command adds by itself."""
    done = ran("push", "metrics", f"{server.url}/api/v1/write", text=TEXT)
    assert done.returncode == 1
    where = f"{server.url}/api/v1/write/api/v1/write"
    assert f"FAILED: {where}: server returned HTTP status 404 Not Found" in done.stderr


def test_pushed_metrics_are_stored(server: Server, tmp_path: Path) -> None:
    """Of files and of standard input, with the labels that are given, which win over those of samples."""
    done = ran("push", "metrics", server.url, text=TEXT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Parsing standard input\n  SUCCESS: metrics pushed to remote write.\n"
    found = {
        tuple(sorted(each["metric"].items())): each["value"][1] for each in server.query("requests_total")
    }
    assert found == {
        (("__name__", "requests_total"), ("code", "200"), ("job", "promtool")): "5",
        (("__name__", "requests_total"), ("code", "500"), ("job", "promtool")): "1",
    }
    (tmp_path / "m.prom").write_text("other 7\n")
    bad, gone = tmp_path / "bad.prom", tmp_path / "gone.prom"
    bad.write_text("no text of metrics\n")
    done = ran(
        "push",
        "metrics",
        "--label=zone=a",
        "--label=job=b",
        server.url,
        str(tmp_path / "m.prom"),
        str(bad),
        str(gone),
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"Parsing metrics file {tmp_path / 'm.prom'}",
        f"  SUCCESS: metrics file {tmp_path / 'm.prom'} pushed to remote write.",
        f"Parsing metrics file {bad}",
    ]
    assert "line 1" in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1] == f"  FAILED: open {gone}: no such file or directory"
    (stored,) = server.query("other")
    assert stored["metric"] == {"__name__": "other", "job": "b", "zone": "a"}


def test_a_server_that_refuses_is_told(server: Server) -> None:
    """The status and the words of the answer; the exit code is 1."""
    done = ran("push", "metrics", "--remote-write.path=/nowhere", server.url, text="a 1\n")
    assert (done.returncode, done.stderr[:9]) == (1, "  FAILED:")
    assert "404" in done.stderr


def test_histograms_are_analyzed(server: Server) -> None:
    """Classic ones by their buckets over time; a type that is none is refused as promtool does."""
    for _ in range(2):
        assert ran("push", "metrics", "--label=run=analyze", server.url, text=TEXT).returncode == 0
        time.sleep(0.01)
    done = ran("query", "analyze", f"--server={server.url}", "--type=histogram", '--match={run="analyze"}')
    assert done.returncode == 0, done.stderr
    assert '- size_bytes_bucket{run="analyze"} (classic): 2/2.000/2/3' in done.stdout.splitlines()
    assert done.stdout.splitlines()[-5:] == [
        "Classic histogram series (1 in total):",
        "- min populated: 2/2.000/2",
        "- avg populated: 2/2.000/2",
        "- max populated: 2/2.000/2",
        "- total: 3/3.000/3",
    ]
    done = ran("query", "analyze", f"--server={server.url}", "--type=summary", "--match=x")
    assert (done.returncode, done.stderr) == (
        1,
        "trimon: error: analyze type is summary, must be 'histogram'\n",
    )


def test_what_a_server_tells_of_itself_is_one_archive(server: Server, tmp_path: Path) -> None:
    """Its metrics, and the bundle that it has where a Prometheus has profiles."""
    import tarfile

    done = ran("debug", "all", server.url, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"collecting: {server.url}/debug/bundle",
        f"collecting: {server.url}/metrics",
        'Compiling debug information complete, all files written in "debug.tar.gz".',
    ]
    with tarfile.open(tmp_path / "debug.tar.gz") as archive:
        assert archive.getnames() == ["bundle.tar.gz", "metrics.txt"]
        metrics = archive.extractfile("metrics.txt")
        assert metrics is not None
        assert b"# HELP process_cpu_seconds_total" in metrics.read()
    done = ran("debug", "metrics", "http://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error completing debug command: error executing HTTP request:")


def test_answers_as_json(server: Server) -> None:
    """`-o json` prints the result as the API has it."""
    done = ran(
        "query",
        "instant",
        "-o",
        "json",
        server.url,
        "vector(1)",
    )
    assert done.stdout.startswith('[{"metric":{},"value":[')
    assert ran("query", "labels", "-o", "json", server.url, "nope").stdout == "[]\n"
    assert ran("query", "series", "--format=json", "--match=nope", server.url).stdout == "[]\n"
