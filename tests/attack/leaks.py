"""A configuration full of secrets, a target that sends our requests back, and a search for them in all that leaves the server.

    python tests/attack/leaks.py [--rounds 1]

What is searched: every GET route, the log, the answers to bad reloads, and `check config`. A secret has a word in it that
stands nowhere else, and is looked for plain, percent-encoded, in base64, and by its first half.
"""

from __future__ import annotations

import base64
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.support.process import ROOT, Server, free_port

ROUTES = (
    "/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/targets", "/api/v1/alertmanagers", "/api/v1/alerts",
    "/api/v1/rules", "/api/v1/scrape_pools", "/api/v1/metadata", "/api/v1/targets/metadata", "/api/v1/status/config",
    "/api/v1/status/flags", "/api/v1/status/runtimeinfo", "/api/v1/status/buildinfo", "/api/v1/status/tsdb",
    "/api/v1/status/storage", "/api/v1/status/walreplay", "/api/v1/labels", "/debug/actors", "/debug/crashes",
    "/debug/plugins", "/debug/queries", "/debug/memory", "/debug/actors/trimon/scrape", "/debug/actors/trimon/discovery",
    "/debug/actors/trimon/notifier", "/debug/actors/trimon/alertmanagers",
)  # fmt: skip

# What a target may answer with our request in it, each in a place where an error quotes it.
ECHOES = (
    b"%s",
    b"HTTP/1.1 200 OK\r\n%s\r\n\r\n",
    b"HTTP/1.1 500 %s\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nm{a="b"} %s\n',
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\nm 1\n",
    b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[::%s\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
)

# The configuration is shown as Prometheus shows it, which takes parameters, relabeling and addresses for no secrets.
SHOWN_IN_CONFIG = frozenset({"param_token", "param_api_key", "relabeled_param", "alertmanager_url"})


class Echo(StreamRequestHandler):
    """A target that answers with what it was asked, or with one line of it."""

    def handle(self) -> None:
        """One request."""
        self.connection.settimeout(2)
        head = b""
        try:
            while b"\r\n\r\n" not in head and (data := self.connection.recv(65536)):
                head += data
        except OSError:
            return
        generator: random.Random = self.server.generator  # type: ignore[attr-defined]
        lines = [line for line in head.split(b"\r\n") if b"anary" in line or b"uthorization" in line] or [
            head
        ]
        self.wfile.write(generator.choice(ECHOES) % generator.choice(lines))


class EchoServer(ThreadingTCPServer):
    """Serves echoes."""

    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def echoes(generator: random.Random) -> Iterator[int]:
    """The port of a running echo."""
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        server.generator = generator  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Canaries:
    """Makes secrets, and finds them again."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    def new(self, place: str) -> str:
        """A secret for a place in the configuration."""
        self.made[place] = secret = (
            f"canary{len(self.made):03d}Zq{place.replace('_', '').replace('.', '')}7xK"
        )
        return secret

    def found(self, text: str) -> list[str]:
        """The places whose secrets are in a text, in whatever spelling."""
        hits = []
        for place, secret in self.made.items():
            forms = {
                secret,
                secret[: len(secret) // 2],
                quote(secret),
                base64.b64encode(secret.encode()).decode()[:-4],
            }
            if any(form in text for form in forms):
                hits.append(place)
        return hits


def config(canaries: Canaries, folder: Path, port: int) -> str:
    """A configuration with a secret in every place that can hold one."""
    new = canaries.new
    for name in ("password", "credentials", "header"):
        (folder / name).write_text(new(f"file_{name}"))
    dead = free_port()
    jobs = {
        "basic": f"basic_auth: {{username: me, password: {new('basic_auth')}}}",
        "basic-file": f"basic_auth: {{username: me, password_file: {folder}/password}}",
        "bearer": f"authorization: {{credentials: {new('credentials')}}}",
        "bearer-file": f"authorization: {{credentials_file: {folder}/credentials}}",
        "bearer-token": f"bearer_token: {new('bearer_token')}",
        "headers": f"http_headers: {{X-Key: {{secrets: [{new('header_secret')}], files: [{folder}/header]}}}}",
        "params": f"params: {{token: [{new('param_token')}], api_key: [{new('param_api_key')}]}}",
        "proxy": f"proxy_url: http://me:{new('proxy_url')}@127.0.0.1:{dead}",
        "proxy-echo": f"proxy_url: http://me:{new('proxy_echo')}@127.0.0.1:{port}",
        "tls": f"scheme: https\n  authorization: {{credentials: {new('tls_credentials')}}}",
    }
    relabeled = (
        "relabel_configs: [{target_label: __param_access_token, replacement: " + new("relabeled_param") + "}]"
    )
    lines = ["global: {scrape_interval: 1s, scrape_timeout: 1s}", "alerting:", "  alertmanagers:"]
    lines += [
        f"  - basic_auth: {{username: a, password: {new('alertmanager')}}}",
        f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]",
        f"  - static_configs: [{{targets: ['me:{new('alertmanager_url')}@127.0.0.1:{port}']}}]",
        f"rule_files: [{folder}/rules.yml]",
        "scrape_configs:",
    ]
    (folder / "rules.yml").write_text(
        "groups: [{name: g, interval: 1s, rules: [{alert: A, expr: vector(1)}]}]"
    )
    for name, block in {**jobs, "relabeled": relabeled}.items():
        lines += [
            f"- job_name: {name}",
            f"  {block}",
            f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]",
        ]
    lines += [
        "- job_name: plugin",
        "  trimon_sd_configs:",
        "  - plugin: canary_plugin:Leaky",
        f"    options: {{password: {new('plugin_password')}, url: 'http://me:{new('plugin_url')}@h/'}}",
    ]
    (folder / "canary_plugin.py").write_text(PLUGIN)
    return "\n".join(lines) + "\n"


PLUGIN = '''
class Leaky:
    """Logs, shows and raises what it was given."""

    def __init__(self, options, context):
        self.options, self.context = options, context

    async def run(self, sink):
        self.context.log.warning("starting", options=dict(self.options))
        raise RuntimeError(f"cannot reach {self.options['url']} with {self.options['password']}")

    def inspect(self):
        return {"said": f"{self.options['url']} {self.options['password']}"}
'''


def bad_configs(canaries: Canaries) -> dict[str, str]:
    """Configurations that are refused, each with a secret where the error is."""
    new = canaries.new
    job = "scrape_configs: [{{job_name: a, {} }}]"
    return {
        "proxy without a host": job.format(f"proxy_url: 'http://me:{new('bad_proxy_host')}@'"),
        "proxy of no scheme": job.format(f"proxy_url: 'ftp://me:{new('bad_proxy_scheme')}@h'"),
        "proxy of a bad port": job.format(f"proxy_url: 'http://me:{new('bad_proxy_port')}@h:x'"),
        "proxy of brackets": job.format(f"proxy_url: 'http://me:{new('bad_proxy_bracket')}@[::1'"),
        "proxy with a slash": job.format(f"proxy_url: 'x://me:{new('bad_proxy_slash')}/a@h'"),
        "basic_auth is a text": job.format(f"basic_auth: '{new('bad_basic_auth')}'"),
        "password is a list": job.format(f"basic_auth: {{password: [{new('bad_password')}]}}"),
        "unknown field": job.format(f"bearer_token: {new('bad_token')}, nonsense: 1"),
        "target with a slash": job.format(
            f"static_configs: [{{targets: ['http://me:{new('bad_target')}@h/x']}}]"
        ),
        "plug-in": job.format(
            f"trimon_sd_configs: [{{plugin: nowhere:Nothing, options: {{token: {new('bad_plugin')}}}}}]"
        ),
    }


def fetched(server: Server, path: str) -> str:
    """The text of an answer, for a program and for a browser."""
    texts = []
    for accept in ("application/json", "text/html"):
        request = urllib.request.Request(f"{server.url}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                texts.append(answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            texts.append(error.read().decode("utf-8", "replace"))
    return "\n".join(texts)


def attack(folder: Path, rounds: int, seed: int) -> tuple[dict[str, list[str]], int, int]:
    """Where which secrets came out that should not; how many there were, and how many texts were searched."""
    canaries = Canaries()
    leaks: dict[str, list[str]] = {}
    searched = 0

    def search(where: str, text: str) -> None:
        nonlocal searched
        searched += 1
        shown = SHOWN_IN_CONFIG if where.startswith("/api/v1/status/config") else frozenset()
        for place in canaries.found(text):
            if place not in shown and place not in leaks.setdefault(where, []):
                leaks[where].append(place)

    generator = random.Random(seed)
    with echoes(generator) as port:
        text = config(canaries, folder, port)
        external = f"http://me:{canaries.new('external_url')}@ext/"
        server = Server(
            folder / "data",
            text,
            f"--web.external-url={external}",
            "--web.enable-lifecycle",
            "--log.level=debug",
        )
        environment = {"PYTHONPATH": f"{ROOT}:{folder}"}
        server.command[:0] = ["env", *(f"{name}={value}" for name, value in environment.items())]
        server.start()
        try:
            for _ in range(rounds):
                time.sleep(2.5)
                for route in ROUTES:
                    search(route, fetched(server, route))
            for name, bad in bad_configs(canaries).items():
                server.config.write_text(bad)
                search(f"reload: {name}", server.text("/-/reload", "POST")[1])
                ran = subprocess.run(
                    [sys.executable, "-m", "trimon", "check", "config", str(server.config)],
                    capture_output=True, text=True, check=False, cwd=folder,
                    env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin"},
                )  # fmt: skip
                search(f"check config: {name}", ran.stdout + ran.stderr)
                search("/api/v1/status/config after a bad reload", fetched(server, "/api/v1/status/config"))
        finally:
            server.kill()
        for line in server.log.read_text().splitlines():
            search("log", line)
    return {where: places for where, places in leaks.items() if places}, len(canaries.made), searched


def main() -> None:
    """Runs the attack and prints its figures."""
    options = arguments(__doc__ or "", 3).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        leaks, made, searched = attack(Path(folder), options.rounds, options.seed)
    for where, places in leaks.items():
        figure(f"secrets in {where}", "found", ", ".join(places))
    figure(
        f"{made} secrets, a target that sends requests back",
        f"{sum(map(len, leaks.values()))} found",
        f"{searched} texts searched, seed {options.seed}",
    )


if __name__ == "__main__":
    main()
