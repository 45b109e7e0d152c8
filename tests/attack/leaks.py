"""A configuration full of secrets, a target that sends our requests back, and a search for them in all that leaves the server.

    python tests/attack/leaks.py [--rounds 1]

What is searched: every route of the table with every method, asked by nobody, a reader, an admin and the owner of a token; the
debug bundle, the log, answers to bad reloads, and `check`. A secret has a word in it that stands nowhere else, and is looked
for plain, percent-encoded, in base64, and by its first half.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import bcrypt

from tests.attack.figures import arguments, figure
from tests.attack.oddrequests import routes
from tests.support.ports import free_port
from tests.support.process import ROOT, Server

# What stands for the parameters of paths.
PATH_VALUES = {
    "name": "job",
    "job": "/nightly",
    "path": "trimon/scrape",
    "file": "index.html",
    "id": "0",
    "scrape": "1",
}
# A query with something for every route.
QUERY = "query=up&match[]=up&step=15&scrapePool=basic&labels={}&metric_name_pattern=.*"
FLAGS = (
    "--web.enable-lifecycle", "--web.enable-admin-api", "--web.enable-remote-write-receiver", "--log.level=debug",
    "--enable-feature=exemplar-storage",
)  # fmt: skip
STRANGERS = frozenset({"who is not known", "a wrong token"})
READ_S_MAX = 10.0
# Of a stream that never ends so much is read.
STREAM_S = 0.2

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
SHOWN_IN_CONFIG = frozenset(
    {
        "param_token",
        "param_api_key",
        "relabeled_param",
        "alertmanager_url",
        "static_meta",
        "endpoint_password",
    }
)


class Echo(StreamRequestHandler):
    """A target that answers with what it was asked, or with one line of it."""

    server: EchoServer

    def handle(self) -> None:
        """One request."""
        self.connection.settimeout(2)
        head = b""
        try:
            while b"\r\n\r\n" not in head and (data := self.connection.recv(65536)):
                head += data
        except OSError:
            return
        generator = self.server.generator
        lines = [line for line in head.split(b"\r\n") if b"anary" in line or b"uthorization" in line] or [
            head
        ]
        self.wfile.write(generator.choice(ECHOES) % generator.choice(lines))


class EchoServer(ThreadingTCPServer):
    """Serves echoes."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, generator: random.Random) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.generator = generator


@contextmanager
def echoes(generator: random.Random) -> Iterator[int]:
    """The port of a running echo."""
    with EchoServer(generator) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@lru_cache
def forms(secret: str) -> tuple[str, ...]:
    """What of a secret is looked for; the first half is in it wherever all of it is."""
    half = secret[: len(secret) // 2]
    return half, quote(half), base64.b64encode(secret.encode()).decode()[:-4]


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
        return [place for place, secret in self.made.items() if any(form in text for form in forms(secret))]


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
        "proxy-header": f"scheme: https\n  proxy_url: http://127.0.0.1:{port}\n"
        f"  proxy_connect_header: {{X-Key: [{new('proxy_header')}]}}",
        "oauth2": f"oauth2: {{client_id: me, client_secret: {new('client_secret')}, "
        f"token_url: 'http://127.0.0.1:{port}/token', "
        f"endpoint_params: {{password: {new('endpoint_password')}}}}}",
        "oauth2-url": f"oauth2: {{client_id: me, client_secret_file: {folder}/password, "
        f"token_url: 'http://me:{new('token_url')}@127.0.0.1:{port}/token?token={new('token_url_token')}'}}",
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
    lines += [
        "- job_name: files",
        f"  file_sd_configs: [{{files: ['{folder}/targets.json']}}]",
        "- job_name: userinfo",
        f"  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{__meta_a_token: {new('static_meta')}}}}}]",
    ]
    labels = {f"__meta_db_{name}": new(f"meta_{name}") for name in ("password", "api_key", "token", "secret")}
    (folder / "targets.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": labels}]))
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
        "key that is none": job.format(f"tls_config: {{cert: x, key: {new('bad_tls_key')}}}"),
        "two credentials": job.format(
            f"oauth2: {{client_id: a, client_secret: {new('bad_oauth2')}}}, basic_auth: {{password: {new('bad_second')}}}"
        ),
        "plug-in": job.format(
            f"trimon_sd_configs: [{{plugin: nowhere:Nothing, options: {{token: {new('bad_plugin')}}}}}]"
        ),
    }


def bad_web_configs(canaries: Canaries) -> dict[str, str]:
    """Web configurations that are refused, each with a secret where the error is."""
    new = canaries.new
    return {
        "hash that is none": f"basic_auth_users: {{a: {new('bad_hash')}}}",
        "key that is none": f"tls_server_config: {{cert: x, key: {new('bad_key')}}}",
        "unknown field": f"basic_auth_users: {{a: {new('bad_hash_2')}}}\nnonsense: 1",
    }


def identities(canaries: Canaries, folder: Path) -> tuple[str, dict[str, str]]:
    """A web configuration, and what the header `Authorization` says of each who asks."""
    headers = {"nobody": ""}
    hashes, roles = {}, {"reader": ["read"], "admin": ["read", "write", "admin", "debug"]}
    for user in roles:
        password = canaries.new(f"web_{user}")
        hashes[user] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        canaries.made[f"hash_{user}"] = hashes[user]
        headers[user] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    wrong = base64.b64encode(f"admin:{canaries.new('web_wrong')}".encode()).decode()
    headers |= {
        "who is not known": f"Basic {wrong}",
        "a wrong token": f"Bearer {canaries.new('web_wrong_token')}",
    }
    token = canaries.new("web_token")
    (folder / "token").write_text(token)
    headers["the owner of a token"] = f"Bearer {token}"
    access = {
        "roles": roles,
        "tokens": [{"name": "pusher", "file": str(folder / "token"), "roles": ["read", "debug"]}],
        "exempt_paths": ["/-/ready", "/-/healthy"],
    }
    return json.dumps({"basic_auth_users": hashes, "trimon": access}), headers


def texts_of(answer: http.client.HTTPResponse, path: str) -> Iterator[tuple[str, str]]:
    """The texts of an answer, its headers too; an archive has several."""
    yield path, "\n".join(f"{name}: {value}" for name, value in answer.getheaders())
    if "event-stream" in answer.headers.get("Content-Type", ""):
        yield path, answer.read1(65536).decode("utf-8", "replace")
        return
    body = answer.read()
    if answer.headers.get("Content-Type") == "application/zip":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield f"{path}:{name}", archive.read(name).decode("utf-8", "replace")
    yield path, body.decode("utf-8", "replace")


KINDS = ("application/json", "text/html")


def fetched(
    server: Server, path: str, authorization: str = "", method: str = "GET", kinds: tuple[str, ...] = KINDS
) -> Iterator[tuple[str, str]]:
    """The texts of an answer, for a program and for a browser."""
    for accept in kinds:
        headers = {"Accept": accept} | ({"Authorization": authorization} if authorization else {})
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=READ_S_MAX)
        try:
            connection.request(method, path, headers=headers, body=b"" if method == "POST" else None)
            answer = connection.getresponse()
            if "event-stream" in answer.headers.get("Content-Type", ""):
                assert connection.sock is not None
                connection.sock.settimeout(STREAM_S)
            yield from texts_of(answer, path.partition("?")[0])
        except TimeoutError:  # of a stream that has nothing to say
            pass
        finally:
            connection.close()


def paths() -> list[tuple[str, str]]:
    """Method and path of each route, with and without parameters; that of a token in the query has a canary's place."""
    found = []
    for endpoint in routes():
        path = re.sub(r"<(?:path:)?(\w+)>", lambda name: PATH_VALUES[name[1]], endpoint.path)
        for method in endpoint.methods:
            if method != "HEAD":
                found += [(method, path), (method, f"{path}?{QUERY}")]
    return found


class Search:
    """What was searched, and what was found that should not be there."""

    def __init__(self, canaries: Canaries) -> None:
        self.canaries = canaries
        self.leaks: dict[str, list[str]] = {}
        self.searched = 0
        self.asked: Counter[str] = Counter()
        """How many routes answered each kind of asker with what is no refusal."""
        self.bodies = 0
        """How many scrapes were looked into."""

    def look(self, where: str, text: str) -> None:
        """Searches a text."""
        self.searched += 1
        is_config = (
            where.startswith(("/api/v1/status/config", "/api/v1/scrape_pools/config"))
            or "config.yml" in where
        )
        shown = SHOWN_IN_CONFIG if is_config else frozenset()
        for place in self.canaries.found(text):
            if place not in shown and place not in self.leaks.setdefault(where, []):
                self.leaks[where].append(place)

    def crawl(self, server: Server, who: str, authorization: str, kinds: tuple[str, ...]) -> None:
        """Asks for everything; who is not known only for a little, as all of it is refused in one place."""
        for method, path in paths() if who not in STRANGERS else paths()[::20]:
            for where, text in fetched(server, path, authorization, method, kinds):
                self.look(where, text)
                self.asked[who] += "Unauthorized" not in text and '"forbidden"' not in text
        if who not in STRANGERS:
            self._crawl_scrapes(server, authorization)

    def _crawl_scrapes(self, server: Server, authorization: str) -> None:
        """Asks for what is remembered of each target: its scrapes, and the bodies in which it sends our requests back."""
        listing = "/api/v1/targets/scrapes"
        for target in _ids(server, listing, authorization, "targets"):
            scrapes = f"/api/v1/targets/{target}/scrapes"
            for at in _ids(server, scrapes, authorization, "scrapes"):
                self.bodies += 1
                for path in (scrapes, f"{scrapes}/{at}/body"):
                    for where, text in fetched(server, path, authorization):
                        self.look(re.sub(r"/[0-9a-f]{8,}", "/*", where), text)


def _ids(server: Server, path: str, authorization: str, listed: str) -> list[str]:
    """The ids of what a route lists; none where it is refused."""
    for _, text in fetched(server, path, authorization, kinds=KINDS[:1]):
        if text.startswith("{"):
            return [str(one["id"]) for one in json.loads(text).get("data", {}).get(listed, [])]
    return []


def checked(search: Search, folder: Path, config: Path, command: str, name: str) -> None:
    """What `check` says of a file."""
    ran = subprocess.run(
        [sys.executable, "-m", "trimon", "check", command, str(config)],
        capture_output=True, text=True, check=False, cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    search.look(f"check {command}: {name}", ran.stdout + ran.stderr)


def attack(folder: Path, rounds: int, seed: int) -> Search:
    """Where which secrets came out that should not; how many there were, and how many texts were searched."""
    canaries = Canaries()
    search = Search(canaries)
    with echoes(random.Random(seed)) as port:
        text = config(canaries, folder, port)
        web, askers = identities(canaries, folder)
        (folder / "web.yml").write_text(web)
        external = f"http://me:{canaries.new('external_url')}@ext/"
        environment = [f"PYTHONPATH={ROOT}:{folder}"]
        for protected in (False, True):
            server = Server(folder / f"data{protected}", text, f"--web.external-url={external}", *FLAGS)
            if protected:
                server.command.append(f"--web.config.file={folder / 'web.yml'}")
            server.command[:0] = ["env", *environment]
            server.start()
            try:
                for _ in range(rounds):
                    time.sleep(2.5)
                    for who, authorization in askers.items() if protected else [("anybody", "")]:
                        search.crawl(server, who, authorization, KINDS[: 1 if protected else 2])
                if not protected:
                    reloads(search, server, folder)
            finally:
                server.kill()
            for line in server.log.read_text().splitlines():
                search.look("log", line)
        for name, bad in bad_web_configs(canaries).items():
            (folder / "bad-web.yml").write_text(bad)
            checked(search, folder, folder / "bad-web.yml", "web-config", name)
    return search


def reloads(search: Search, server: Server, folder: Path) -> None:
    """What is said of configurations that are refused."""
    for name, bad in bad_configs(search.canaries).items():
        server.config.write_text(bad)
        search.look(f"reload: {name}", server.text("/-/reload", "POST")[1])
        checked(search, folder, server.config, "config", name)
        for where, text in fetched(server, "/api/v1/status/config"):
            search.look(where, text)
    for where, text in fetched(server, "/api/v1/notifications"):
        search.look(where, text)


def main() -> None:
    """Runs the attack and prints its figures."""
    options = arguments(__doc__ or "", 3).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        search = attack(Path(folder), options.rounds, options.seed)
    for where, places in search.leaks.items():
        figure(f"secrets in {where}", "found", ", ".join(places))
    figure(
        f"{len(search.canaries.made)} secrets, a target that sends requests back",
        f"{sum(map(len, search.leaks.values()))} found",
        f"{search.searched} texts searched, seed {options.seed}",
    )


if __name__ == "__main__":
    main()
