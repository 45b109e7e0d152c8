"""Odd requests, made from a seed: from the table of routes with every parameter, from recordings, and changed at random."""
# ruff: noqa: E501 # lists of odd values

from __future__ import annotations

import json
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import MagicMock
from urllib.parse import quote, quote_from_bytes

import cramjam

from tests.support import protobuf
from trimon.web.app import all_endpoints
from trimon.web.context import WebOptions
from trimon.web.http.endpoint import Endpoint

RECORDED = Path(__file__).parent.parent.parent.parent / "shared/oracle/api/cases.jsonl"
_PATH_PARAMETER = re.compile(rb"<[^>]*>")
_QUIT = re.compile(rb"quit", re.IGNORECASE)

METHODS = (
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"BREW",
    b"A" * 300,
)
VERSIONS = (
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/9.9",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.11",
    b"HTTP/",
    b"http/1.1",
    b"ICY/1.1",
    b"",
)
HOSTS = (
    b"localhost", b"a..b", b"." * 70, b"a" * 64, b"a" * 5000, b"[::1", b"[::1]:99999", b"x:y:z", b"\xff\xfe", b"", b"a b", b"%zz",
    b"xn--", b"xn--a.b", b"localhost:-1", b"localhost:99999999999999999999", b"@", b"a@b", b"127.0.0.1:0", b"\xc3\xa4.example",
)  # fmt: skip
NAMES = (
    "query", "time", "timeout", "limit", "lookback_delta", "stats", "start", "end", "step", "match[]", "metric", "limit_per_metric",
    "match_target", "state", "scrapePool", "type", "rule_name[]", "rule_group[]", "file[]", "group_limit", "group_next_token",
    "exclude_alerts", "skip_head", "analyze", "extended", "q", "", "name", "debug", "from", "after", "dedup", "max_source_resolution",
)  # fmt: skip
VALUES = (
    "", "0", "1", "-1", "1e308", "1e309", "-1e309", "NaN", "Inf", "-Inf", "9" * 40, "9223372036854775807", "-9223372036854775808",
    "0x10", "1_000", "1e-320", "1.5", "true", "TRUE", "yes", "null", "\x00", "a\x00b", "\ud800", "é", "𝔘", "\u202e", "%00", "%zz",
    "2015-07-01T20:10:30.781Z", "9999-12-31T23:59:59.999999999Z", "0000-01-01T00:00:00Z", "2015-13-45T99:99:99Z", "1h", "-1h",
    "1ms", "9999999999y", "0s", "1y1w1d1h1m1s1ms", "up", "{__name__=~\".+\"}", "{}", "{__name__=\"\"}", "m{a=~\"(\"}", "m{a=~\"" + "(a|b)" * 50 + "\"}",
    "sum by (a) (rate(m[5m]))", "m[1s:]", "m offset 99999d", "m @ 1e400", "m @ end()", "vector(1)", "time()", "label_replace(m,\"$\",\"$1\",\"a\",\"(\")",
    "absent_over_time(m[1w])", "count_values(\"\\xff\", m)", "(" * 1500, "1" + "+1" * 300, "{\"\\u0000\"=\"x\"}", "m{a=\"" + "x" * 3000 + "\"}",
    "'\\x'", "\"\\xff\"", "`", "topk(1e30, m)", "topk(NaN, m)", "quantile(2, m)", "predict_linear(m[1m], 1e300)", "1 % 0", "-0", "0/0",
    "histogram_quantile(1, m)", "m == bool 1", "m and on () n", "holt_winters(m[1m],0.1,0.1)", "../../../etc/passwd", "<script>",
    "any", "active", "dropped", "alert", "record", "all", "none", "raw_samples", "job", "trimon",
)  # fmt: skip
HEADERS = (
    (b"Accept", (b"text/html", b"application/json", b"*/*;q=", b"\xff", b"application/openmetrics-text; version=1.0.0", b"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                 b"text/event-stream", b"application/x-ndjson", b"a" * 5000, b";;;,,,")),
    (b"Accept-Encoding", (b"gzip", b"zstd", b"zstd;q=0, gzip", b"deflate;q=1", b"gzip;q=0", b"br,,,", b"\xff", b"identity", b"gzip;q=9e999")),
    (b"Origin", (b"http://evil", b"null", b"\xff", b"http://localhost", b"://", b"")),
    (b"Content-Type", (b"application/x-www-form-urlencoded", b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=x",
                       b"application/x-www-form-urlencoded; charset=utf-99", b"multipart/mixed; boundary=\xff", b"application/json", b"\xff", b"text/plain; charset=;=",
                       b"multipart/form-data; boundary=\"" + b"y" * 300, b"application/x-protobuf", b"application/x-protobuf;proto=io.prometheus.write.v2.Request")),
    (b"Content-Encoding", (b"snappy", b"gzip", b"zstd", b"\xff", b"")),
    (b"Content-Length", (b"0", b"5", b"-1", b"+3", b"1e3", b"99999999999999999999", b"0x5", b"5, 5", b"5, 6", b"\xb2", b"")),
    (b"Transfer-Encoding", (b"chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"\xff", b"CHUNKED ")),
    (b"Connection", (b"close", b"keep-alive", b"upgrade", b"close, upgrade", b"\xff")),
    (b"Upgrade", (b"websocket", b"h2c", b"\xff")),
    (b"HTTP2-Settings", (b"AAM", b"\xff")),
    (b"Sec-WebSocket-Key", (b"dGhlIHNhbXBsZSBub25jZQ==", b"x")),
    (b"Sec-WebSocket-Version", (b"13", b"0")),
    (b"Expect", (b"100-continue", b"200-ok", b"\xff")),
    (b"X-Prometheus-Remote-Write-Version", (b"0.1.0", b"2.0.0", b"\xff")),
    (b"Authorization", (b"Basic \xff", b"Basic Og==", b"Bearer ")),
    (b"Range", (b"bytes=0-0", b"bytes=-99999")),
    (b"If-None-Match", (b"*", b"\"\xff")),
    (b"Cookie", (b"a=b; c", b"\xff=\xff", b";" * 500)),
    (b"X-Forwarded-Host", (b"a..b", b"\xff")),
    (b"X-Forwarded-For", (b"a", b"::1, 127.0.0.1")),
    (b"Forwarded", (b"for=\xff", b"host=a..b")),
    (b"X-HTTP-Method-Override", (b"DELETE",)),
    (b"Host", HOSTS),
    (b"X y", (b"1",)),
    (b"\xff", (b"1",)),
    (b"", (b"1",)),
)  # fmt: skip
SNIPPETS = (
    b"\x00", b"\r\n", b"\n", b"\r", b"%", b"%00", b"%ff", b"%2", b"?", b"&", b"=", b";", b"#", b"//", b"/../", b"\xff", b"\xc0\x80",
    b" ", b"\t", b":", b"a" * 3000, b"\r\n\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)  # fmt: skip


def routes() -> list[Endpoint]:
    """Every route of the server but the one that ends it, and the one whose answer has no end."""
    endless = ("/-/quit", "/api/v1/notifications/live", "/api/v1/trimon/actors/live")
    return [
        endpoint
        for endpoint in all_endpoints(MagicMock(options=WebOptions()))
        if endpoint.path not in endless
    ]


@dataclass
class Requests:
    """Makes requests from a seed: from the table of routes, from recordings, and changed at random."""

    seed: int
    generator: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.generator = random.Random(self.seed)
        self._routes = routes()
        self._recorded: list[bytes] = []
        if RECORDED.exists():
            lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
            self._recorded = [self._as_bytes(case) for case in lines if "path" in case]

    @staticmethod
    def _as_bytes(case: dict[str, object]) -> bytes:
        headers = case.get("request_headers") or {}
        assert isinstance(headers, dict)
        body = str(case.get("request_body") or "").encode()
        lines = [
            f"{case['method']} {case['path']} HTTP/1.1".encode(),
            b"Host: localhost",
            b"Connection: close",
        ]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"", body])

    def next(self) -> bytes:
        """The next request."""
        pick = self.generator.random
        made = self.generator.choice(self._recorded) if self._recorded and pick() < 0.2 else self._made()
        if pick() < 0.35:
            made = self._mutated(made)
        return _QUIT.sub(b"quid", made)

    def _target(self, endpoint: Endpoint) -> bytes:
        pick, choice = self.generator.random, self.generator.choice
        path = endpoint.path.encode()
        for name in _PATH_PARAMETER.findall(path):
            value = choice(VALUES).encode("utf-8", "surrogatepass")
            path = path.replace(
                name, quote_from_bytes(value, safe="/" if pick() < 0.5 else "").encode() or b"x"
            )
        if pick() < 0.1:
            path = choice(
                (
                    path + b"/",
                    b"/" + path,
                    path.replace(b"/", b"//"),
                    path + b"%00",
                    path + b"/..",
                    path + b"%2e%2e",
                    b"*",
                    b"http://a..b" + path,
                    path.upper(),
                    path + b"%ff%fe",
                    path + b"\xff",
                )
            )
        query = self._parameters(endpoint)
        return path + (b"?" + query if query or pick() < 0.1 else b"")

    def _parameters(self, endpoint: Endpoint) -> bytes:
        pick, choice = self.generator.random, self.generator.choice
        pairs = []
        for _ in range(min(8, int(self.generator.expovariate(0.4)))):
            known = choice(endpoint.parameters) if endpoint.parameters and pick() < 0.6 else None
            values = known.choices if known is not None and known.choices and pick() < 0.5 else VALUES
            value = choice(values).encode("utf-8", "surrogatepass")
            text = quote_from_bytes(value).encode() if pick() < 0.8 else value.replace(b" ", b"+")
            name = known.name if known is not None else choice(NAMES)
            pairs.append(quote(name, safe="[]").encode() + (b"=" if pick() < 0.95 else b"") + text)
        return choice((b"&", b"&", b"&", b";", b"&&")).join(pairs)

    def _made(self) -> bytes:
        pick, choice = self.generator.random, self.generator.choice
        endpoint = choice(self._routes)
        method = choice(endpoint.methods).encode() if pick() < 0.8 else choice(METHODS)
        version = b"HTTP/1.1" if pick() < 0.9 else choice(VERSIONS)
        headers = [(b"Host", b"localhost" if pick() < 0.7 else choice(HOSTS))]
        for name, values in self.generator.sample(HEADERS, self.generator.choice((0, 0, 0, 1, 1, 3))):
            headers.append((name, choice(values)))
        body, more = self._body(endpoint)
        if body and pick() < 0.95:
            headers += more
        if pick() < 0.9:
            headers.append((b"Connection", b"close"))
        head = b" ".join([method, self._target(endpoint), version])
        lines = [head, *(name + b": " + value for name, value in headers), b"", b""]
        return b"\r\n".join(lines) + body

    def _body(self, endpoint: Endpoint) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        pick, choice = self.generator.random, self.generator.choice
        if pick() < 0.5 and "POST" not in endpoint.methods:
            return b"", []
        if endpoint.path.endswith("/write") and pick() < 0.8:
            body, kind = self._write_body(), (b"Content-Type", b"application/x-protobuf")
        elif pick() < 0.3:
            body, kind = self._multipart()
        else:
            body, kind = self._parameters(endpoint), (b"Content-Type", b"application/x-www-form-urlencoded")
        headers = [kind]
        if kind[1] == b"application/x-protobuf":
            headers.append((b"Content-Encoding", b"snappy"))
        if pick() < 0.4:
            return self._chunked(body), [*headers, (b"Transfer-Encoding", b"chunked")]
        length = len(body) if pick() < 0.9 else choice((0, 1, len(body) + 5, 10**9, 10**30))
        return body, [*headers, (b"Content-Length", b"%d" % length)]

    def _write_body(self) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        value = self.generator.choice((1.0, float("nan"), float("inf"), 1e308))
        at_ms = self.generator.choice((now_ms, 0, -1, 2**62, -(2**63), now_ms + 10**9))
        name = self.generator.choice(("fuzz", "", "\x00", "a" * 300, "é"))
        plain = bytearray(protobuf.series([("__name__", name), ("a", "b")], ((at_ms, value),)))
        for _ in range(self.generator.choice((0, 0, 1, 5))):
            plain[self.generator.randrange(len(plain))] = self.generator.randrange(256)
        packed = bytearray(cramjam.snappy.compress_raw(bytes(plain)))
        for _ in range(self.generator.choice((0, 0, 0, 1, 3))):
            packed[self.generator.randrange(len(packed))] = self.generator.randrange(256)
        return bytes(packed)

    def _multipart(self) -> tuple[bytes, tuple[bytes, bytes]]:
        choice = self.generator.choice
        boundary = choice((b"b", b"", b"-" * 80, b'"q"', b"\xff"))
        parts = b""
        for _ in range(choice((0, 1, 3))):
            name = quote(choice(NAMES)).encode()
            disposition = choice((
                b'form-data; name="' + name + b'"', b"form-data", b'form-data; name="\xff"; filename="x"', b"form-data; name*=utf-99''x",
                b'form-data; name="query"; filename="\x00"', b"", b'form-data; name="query"; filename*=UTF-8\'\'%ff',
            ))  # fmt: skip
            kind = choice(
                (
                    b"",
                    b"Content-Type: text/plain; charset=utf-99\r\n",
                    b"Content-Type: \xff\r\n",
                    b"Content-Transfer-Encoding: base64\r\n",
                )
            )
            value = choice(VALUES).encode("utf-8", "surrogatepass")
            parts += (
                b"--"
                + boundary
                + b"\r\nContent-Disposition: "
                + disposition
                + b"\r\n"
                + kind
                + b"\r\n"
                + value
                + b"\r\n"
            )
        return parts + choice((b"--" + boundary + b"--\r\n", b"--" + boundary, b"")), (
            b"Content-Type",
            b"multipart/form-data; boundary=" + boundary,
        )

    def _chunked(self, body: bytes) -> bytes:
        pick, out = self.generator.random, b""
        while body:
            size = self.generator.randint(1, 50)
            piece, body = body[:size], body[size:]
            told = (
                b"%x" % len(piece)
                if pick() < 0.97
                else self.generator.choice((b"-1", b"zz", b"f" * 30, b"", b"0x1", b"1;" + b"x" * 500))
            )
            out += told + b"\r\n" + piece + b"\r\n"
        return out + (
            b"0\r\n\r\n"
            if pick() < 0.8
            else self.generator.choice((b"", b"0\r\n", b"0\r\nTrailer: \xff\r\n\r\n"))
        )

    def _mutated(self, data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(self.generator.choice((1, 1, 2, 4, 10))):
            at = self.generator.randrange(len(out) + 1)
            match self.generator.randrange(6):
                case 0 if at < len(out):
                    out[at] ^= 1 << self.generator.randrange(8)
                case 1:
                    out[at:at] = self.generator.choice(SNIPPETS)
                case 2:
                    del out[at : at + self.generator.randrange(1, 20)]
                case 3:
                    out[at:at] = out[at : at + self.generator.randrange(1, 200)]
                case 4 if at < len(out):
                    out[at] = self.generator.randrange(256)
                case 5 if self.generator.random() < 0.2:
                    del out[at:]
        return bytes(out)
