"""Configurations that are taken over with a way back, by the real server."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.commandline import run_trimon
from tests.support.planned_server import await_targets, await_up, configuration, post
from tests.support.process import ROOT, Server, running


def test_what_a_reload_would_refuse_is_refused(server: Server) -> None:
    """A mistake is a 400 with its place; nothing is written."""
    before = server.config.read_text()
    for path in ("/api/v1/config/plan", "/api/v1/config/apply"):
        answer = post(server, path, "global: {scrape_interval: nonsense}\n")
        assert (answer["status"], answer["errorType"]) == ("error", "bad_data")
        assert "nonsense" in answer["error"]
    assert server.config.read_text() == before


def test_a_configuration_that_does_harm_is_rolled_back(server: Server, target: str) -> None:
    """A target that was up is down: the file and what holds are those of before, and the reason is told."""
    await_up(server)
    before = server.config.read_text()
    hasty = configuration(target).replace(
        "metrics_path: /metrics", "metrics_path: /metrics, scrape_timeout: 1ms"
    )
    answer = post(server, "/api/v1/config/apply?watch=4s", hasty)
    assert answer["data"]["outcome"] == "rolled back", answer
    reason = answer["data"]["reason"]
    assert "1 of 1 targets that were up are down" in reason
    assert f'such as http://{target}/metrics {{instance="{target}", job="j"}}: ' in reason
    assert "deadline" in reason
    assert server.config.read_text() == before
    await_up(server)
    answer = post(server, "/api/v1/config/apply?watch=4s", configuration(target, path="/nope"))
    assert answer["data"]["outcome"] == "rolled back", answer
    assert server.config.read_text() == before


def test_a_client_that_goes_away_takes_its_configuration_along(server: Server, target: str) -> None:
    """Who leaves while the configuration is watched has the one before back."""
    before = server.config.read_text()
    request = urllib.request.Request(
        f"{server.url}/api/v1/config/apply?watch=30s",
        configuration(target, "127.0.0.1:1").encode(),
        method="POST",
    )
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(request, timeout=2)
    for _ in range(600):
        if server.config.read_text() == before:
            break
        time.sleep(0.1)
    assert server.config.read_text() == before
    await_targets(server, 1)
    line = next(each for each in server.tail().splitlines()[::-1] if "rolled back" in each)
    assert "WARN" in line
    assert "who asked for it went away before it was watched to the end" in line


def test_an_interrupted_command_says_what_becomes_of_it(server: Server, target: str, tmp_path: Path) -> None:
    """The server rolls back when the command is interrupted, and the command says so."""
    before = server.config.read_text()
    file = tmp_path / "new.yml"
    file.write_text(configuration(target, "127.0.0.1:1"))
    command = [sys.executable, "-m", "trimon", "config", "apply", str(file), "--server", server.url]
    asking = subprocess.Popen(
        # What a shell starts in the background ignores interrupts, and so would all that it starts.
        ["env", "--default-signal=INT", *command, "--watch", "1m"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    while server.config.read_text() == before:
        assert asking.poll() is None
        time.sleep(0.05)
    asking.send_signal(signal.SIGINT)
    _, error = asking.communicate(timeout=90)
    assert asking.returncode == 2
    assert error.decode().startswith("interrupted: the server rolls back to the configuration before")
    await_targets(server, 1)
    assert server.config.read_text() == before


def test_the_command_line(server: Server, target: str, tmp_path: Path) -> None:
    """`config plan` shows the plan in lines; `config apply` ends with 2 when it was rolled back."""
    await_up(server)
    file = tmp_path / "new.yml"
    file.write_text(configuration(target, "127.0.0.1:1"))
    planned = run_trimon("config", "plan", file, "--server", server.url)
    assert planned.exit_code == 0
    assert planned.stdout == (
        "job j: changed, targets 1 -> 2, series 3 -> 6\n"
        "  + http://127.0.0.1:1/metrics\n"
        "  a new target is taken to have as many series as the job's others in the middle\n"
    )
    file.write_text(
        configuration(target).replace("metrics_path: /metrics", "metrics_path: /metrics, scrape_timeout: 1ms")
    )
    applied = run_trimon("config", "apply", file, "--server", server.url, "--watch", "4s")
    assert applied.exit_code == 2, applied.stdout + applied.stderr
    assert "rolled back: 1 of 1 targets that were up are down" in applied.stdout


def test_the_file_keeps_its_mode(server: Server, target: str) -> None:
    """A file that only its owner may read stays one: it may hold passwords."""
    server.config.chmod(0o600)
    assert post(server, "/api/v1/config/apply?watch=0", configuration(target))["data"]["outcome"] == "applied"
    assert stat.S_IMODE(server.config.stat().st_mode) == 0o600


def test_a_file_that_was_changed_meanwhile_stays(server: Server, target: str) -> None:
    """Going back overwrites nothing that somebody else has written since."""
    harmful = configuration(target).replace("metrics_path:", "sample_limit: 1, metrics_path:")
    await_up(server)
    theirs = configuration(target) + "# theirs\n"
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(post(server, "/api/v1/config/apply?watch=4s", harmful))
    )
    thread.start()
    time.sleep(1.5)
    assert server.config.read_text() == harmful
    server.config.write_text(theirs)
    thread.join()
    assert answers[0]["data"]["outcome"] == "rolled back"
    assert answers[0]["data"]["reason"].endswith("; the file was changed meanwhile and is loaded as it is")
    assert server.config.read_text() == theirs
    await_up(server)


def test_a_broken_file_does_not_come_back(server: Server, target: str) -> None:
    """The file on the disk was broken before: the answer says that going back failed."""
    harmful = configuration(target).replace("metrics_path:", "sample_limit: 1, metrics_path:")
    await_up(server)
    server.config.write_text("broken: [\n")
    answer = post(server, "/api/v1/config/apply?watch=4s", harmful)["data"]
    assert "; the configuration before does not come back: " in answer["reason"]
    server.config.write_text(configuration(target))
    assert post(server, "/api/v1/config/apply?watch=0", configuration(target))["data"]["outcome"] == "applied"
    await_up(server)


def test_a_configuration_that_does_no_harm_is_kept(server: Server, target: str) -> None:
    """It stands in the file and holds; a new target that is down is no harm."""
    text = configuration(target, "127.0.0.1:1")
    answer = post(server, "/api/v1/config/apply?watch=3s", text)["data"]
    assert (answer["outcome"], answer["reason"]) == ("applied", "")
    (warning,) = answer["warnings"]
    assert warning.startswith("1 of 1 new targets are not up, such as http://127.0.0.1:1/metrics {")
    assert "refused" in warning
    assert "1 of 1 new targets are not up" in server.tail()
    assert server.config.read_text() == text
    await_targets(server, 2)


def test_it_needs_the_lifecycle_api(tmp_path: Path) -> None:
    """Without --web.enable-lifecycle nobody plans or applies anything."""
    made = Server(tmp_path / "data", "global: {}\n").start()
    try:
        for path in ("plan", "apply"):
            answer = post(made, f"/api/v1/config/{path}", "global: {}\n")
            assert answer["error"] == "Lifecycle API is not enabled."
    finally:
        made.stop()


def test_a_stop_ends_the_watch(tmp_path: Path, target: str) -> None:
    """A server that is told to stop rolls back what it watches, and does not wait for the end of the watch."""
    with running(
        tmp_path / "data", configuration(target, rules=str(tmp_path / "none.yml")), "--web.enable-lifecycle"
    ) as server:
        text = configuration(target, target + "0", rules=str(tmp_path / "none.yml")).encode()
        before = server.config.read_bytes()
        request = urllib.request.Request(f"{server.url}/api/v1/config/apply?watch=10m", data=text)
        answers: list[dict[str, Any]] = []

        def ask() -> None:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answers.append(json.load(answer))

        asking = threading.Thread(target=ask)
        asking.start()
        while server.config.read_bytes() == before:
            time.sleep(0.05)
        assert server.stop(9) == 0
        asking.join()
        assert answers[0]["data"]["outcome"] == "rolled back"
        assert server.config.read_bytes() == before


def test_a_server_that_is_killed_while_it_watches_starts_with_the_file_of_before(
    tmp_path: Path, target: str
) -> None:
    """What was not watched to the end may be what killed it: the next start brings the file of before back, and says so."""
    with running(
        tmp_path / "data", configuration(target, rules=str(tmp_path / "none.yml")), "--web.enable-lifecycle"
    ) as server:
        server.config.chmod(0o600)
        text = configuration(target, target + "0", rules=str(tmp_path / "none.yml")).encode()
        before = server.config.read_bytes()
        request = urllib.request.Request(f"{server.url}/api/v1/config/apply?watch=10m", data=text)

        def ask() -> None:
            with pytest.raises(OSError, match=r"closed|reset"):
                urllib.request.urlopen(request, timeout=60)

        asking = threading.Thread(target=ask)
        asking.start()
        while server.config.read_bytes() == before:
            time.sleep(0.05)
        server.kill()
        asking.join()
        assert server.config.read_bytes() == text
        server.start()
        assert server.config.read_bytes() == before
        assert stat.S_IMODE(server.config.stat().st_mode) == 0o600
        assert "not watched to the end; the file of before is back" in server.tail()
        assert [each.name for each in tmp_path.iterdir() if "before-apply" in each.name] == []
        assert server.stop() == 0
