"""Reload, notifications, quit and exit of the real server beside those of a real Prometheus 3.14, step by step."""

from __future__ import annotations

import http.client
import json
import re
import threading
from pathlib import Path
from typing import Any

from tests.support.oracle import differences, recorded
from tests.support.process import Server

*STEPS, EXIT, LIVE, _ = recorded("api/lifecycle.jsonl")
CONFIG = "global: {scrape_interval: 15s}\nrule_files: [r.yml]\n"
RULES = "groups: [{name: g, rules: [{record: a, expr: up}]}]\n"
# What stands in which file before the step of that name.
FILES = {
    "reload bad: yaml": ("config", "global: [\n"),
    "reload bad: unknown field": ("config", "foo: 1\n"),
    "reload bad: rule": ("rules", "groups: [{name: g, rules: [{record: a, expr: sum(}]}]\n"),
    "reload bad: missing rule file": ("config", "rule_files: [nofile.yml]\n"),
    "reload bad: bad scrape config": ("config", "scrape_configs: [{job_name: a}, {job_name: a}]\n"),
}
DATES = re.compile(r'"(date|lastEvaluation)":"[^"]*"')


def asked(server: Server, request: str) -> tuple[int, str, str]:
    """Status, type and body of an answer."""
    method, path = request.split(" ")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def wrong(step: dict[str, Any], server: Server) -> list[str]:
    """What is not as recorded in one step."""
    status, kind, body = asked(server, step["request"])
    directory = server.data.parent
    body = body.replace(server.config.name, "prometheus.yml").replace(str(directory), "DIR")
    found = []
    if (status, kind) != (step["status"], step["headers"].get("Content-Type", "")):
        found.append(f"{status} {kind}")
    if step["request"].endswith("runtimeinfo"):
        told = json.loads(body)["data"]["reloadConfigSuccess"]
        return found if told == json.loads(step["body"])["reloadConfigSuccess"] else [f"success: {told}"]
    if step["body"].startswith("{"):
        want, got = (json.loads(DATES.sub(r'"\1":""', text)) for text in (step["body"], body))
        return found + list(differences(want, got, set(), set()))
    return found if body == step["body"] else [*found, f"{body!r}, not {step['body']!r}"]


def listen(server: Server, lines: list[str], ready: threading.Event) -> None:
    """Reads the live stream to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/api/v1/notifications/live", headers={"Accept-Encoding": "identity"})
    answer = connection.getresponse()
    lines.append(f"{answer.status} {answer.getheader('Content-Type')} {answer.getheader('Cache-Control')}")
    ready.set()
    while line := answer.readline():
        lines.append(line.decode())
    connection.close()


def test_a_life_goes_as_that_of_prometheus(tmp_path: Path) -> None:
    """Every recorded step has the recorded answer, the stream the recorded events, and the process the exit code."""
    (tmp_path / "r.yml").write_text(RULES)
    server = Server(tmp_path / "data", CONFIG, "--web.enable-lifecycle").start()
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    ready = threading.Event()
    listener = threading.Thread(target=listen, args=(server, lines, ready), daemon=True)
    try:
        listener.start()
        assert ready.wait(30), "the head of the stream does not come before its first event"
        for step in STEPS:
            if step["step"] == "after quit":
                continue
            if step["step"] in FILES:
                where, text = FILES[step["step"]]
                (server.config if where == "config" else tmp_path / "r.yml").write_text(text)
            if step["step"] == "reload good again":
                server.config.write_text(CONFIG)
                (tmp_path / "r.yml").write_text(RULES)
            problems = wrong(step, server)
            if problems:
                found[f"{step['step']}: {step['request']}"] = problems
        listener.join(30)
        assert server.process is not None
        code = server.process.wait(30)
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
    assert not found
    assert code == EXIT["code"]
    head, *events = LIVE["events"]
    assert lines[0] == f"{head['status']} text/event-stream {head['headers']['Cache-Control']}"
    wanted = [DATES.sub("", event["line"]) for event in events]
    got = [DATES.sub("", line) for line in lines[1:]]
    # Where the recording ends its listener was cut off in the last event.
    assert got[: len(wanted)] == wanted
    assert not listener.is_alive()
