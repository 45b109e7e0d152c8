"""Plans of configurations, and taking them over with a way back, by the real server."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.commandline import run_trimon
from tests.support.process import Server

RULES = "groups: [{name: g, interval: 1s, rules: [{record: r, expr: 'up'}]}]\n"


class _Exposition(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"a 1\nb 2\nc 3\n"
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        del format, args


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """The address of something to scrape."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Exposition) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def configuration(*targets: str, path: str = "/metrics", rules: str = "rules.yml", job: str = "j") -> str:
    """A file with one job."""
    listed = ", ".join(f"'{each}'" for each in targets)
    return (
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{rules}]\n"
        f"scrape_configs: [{{job_name: {job}, metrics_path: {path}, static_configs: [{{targets: [{listed}]}}]}}]\n"
    )


def await_up(server: Server) -> None:
    """Until every target is up."""
    for _ in range(100):
        found = server.get("/api/v1/targets")["data"]["activeTargets"]
        if {one["health"] for one in found} == {"up"}:
            return
        time.sleep(0.1)
    raise AssertionError(found)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, target: str) -> Iterator[Server]:
    """A server that has scraped one target. Each test leaves it as it was, but for the last one."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "rules.yml").write_text(RULES)
    made = Server(folder / "data", configuration(target), "--web.enable-lifecycle").start()
    await_up(made)
    yield made
    made.stop()


def post(server: Server, path: str, text: str) -> Any:
    """The JSON of the answer to a text."""
    request = urllib.request.Request(server.url + path, text.encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def await_targets(server: Server, count: int) -> None:
    """Returns when there are so many; discovery takes some seconds to tell of others."""
    for _ in range(100):
        if len(server.get("/api/v1/targets")["data"]["activeTargets"]) == count:
            return
        time.sleep(0.1)
    pytest.fail(f"there are never {count} targets")


def test_a_plan_says_what_would_change(server: Server, target: str) -> None:
    """Targets gained and lost, series, rule groups; the server goes on as it was, and so does the file."""
    before = server.config.read_text()
    (server.config.parent / "more.yml").write_text(RULES.replace("name: g", "name: h"))
    text = configuration(target, "127.0.0.1:1", rules="'*.yml'").replace(
        "scrape_configs: [", "scrape_configs: [{job_name: file, file_sd_configs: [{files: ['x.json']}]}, "
    )
    text = text.replace("rule_files: ['*.yml']", "rule_files: [rules.yml, more.yml]")
    plan = post(server, "/api/v1/config/plan", text)["data"]
    assert plan["changes"] is True
    known, changed = sorted(plan["jobs"], key=lambda job: job["job"])
    assert (known["job"], known["change"], known["targets"]) == ("file", "added", {"now": 0, "then": None})
    assert changed["change"] == "changed"
    assert changed["targets"] == {"now": 1, "then": 2}
    assert changed["series"] == {"now": 3, "then": 6}
    assert changed["gained"] == {"count": 1, "targets": ["http://127.0.0.1:1/metrics"]}
    assert changed["lost"] == {"count": 0, "targets": []}
    (group,) = plan["ruleGroups"]
    assert (group["group"], group["change"], group["rules"]) == ("h", "added", {"now": 0, "then": 1})
    assert server.config.read_text() == before
    assert len(server.get("/api/v1/targets")["data"]["activeTargets"]) == 1
    assert post(server, "/api/v1/config/plan", before)["data"]["changes"] is False


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
    assert "1 of 1 targets that were up are down" in answer["data"]["reason"]
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
    for _ in range(100):
        if server.config.read_text() == before:
            break
        time.sleep(0.1)
    assert server.config.read_text() == before
    await_targets(server, 1)


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


def test_files_that_a_text_names_are_not_quoted(server: Server, target: str, tmp_path: Path) -> None:
    """Whoever plans names files that only the server may read: their content is in no answer."""
    secret = tmp_path / "shadow"
    secret.write_text("root:$6$salt$hash:20228:0:99999:7:::\ndaemon:*:20228:0:99999:7:::\n")
    text = configuration(target) + f"scrape_config_files: ['{secret}']\n"
    for path in ("plan", "apply"):
        answer = post(server, f"/api/v1/config/{path}", text)
        assert (
            answer["error"] == f'"{secret}": line 1: the file cannot be taken, `trimon check config` says why'
        )


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


def test_a_plan_names_files_that_are_none(tmp_path: Path) -> None:
    """A device or a pipe among the rule files is an error of the plan, and of the check, and not passed over."""
    from tests.support.process import running

    pipe = tmp_path / "pipe.yml"
    os.mkfifo(pipe)
    with running(tmp_path / "data", "{}", "--web.enable-lifecycle") as server:
        for path in ("/dev/zero", str(pipe)):
            request = urllib.request.Request(
                f"{server.url}/api/v1/config/plan", data=f"rule_files: ['{path}']".encode()
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=20)
            assert caught.value.code == 400
            assert "rule files cannot be loaded" in caught.value.read().decode()


def test_a_stop_ends_the_watch(tmp_path: Path, target: str) -> None:
    """A server that is told to stop rolls back what it watches, and does not wait for the end of the watch."""
    from tests.support.process import running

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
