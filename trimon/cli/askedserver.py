"""The server that a command asks, and how it is reached: URL, credentials, TLS, proxy."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

import trio

from trimon import limits
from trimon.config.filetext import read_text
from trimon.config.http import HttpClient
from trimon.config.model import Source
from trimon.config.yaml.tree import Document
from trimon.errors import OperatingError, UserError
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import FetchRequest, Response
from trimon.peers.options import client_options
from trimon.records import dataclass
from trimon.redaction import REDACTOR

TIMEOUT_S: Final = 130.0
ANSWER_BYTES_MAX: Final = 2**32
FORM: Final = "application/x-www-form-urlencoded"


def load_http_config(path: Path) -> HttpClient:
    """Read a file that is one HTTP client block. Blocks on the disk. Raises UserError."""
    document = Document(read_text(path, limits.CONFIG_FILE_BYTES_MAX), str(path))
    if document.root is None:
        return HttpClient()
    source = Source(document, path.parent)
    client = HttpClient.read(document.root, source)
    for each in source.missing:
        raise UserError(str(each), each.place)
    return client


@dataclass(frozen=True, slots=True)
class AskedServer:
    """A server by its URL; without a scheme it is http. Credentials come from the file or stand in the URL."""

    url: str
    http_config: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of each request besides."""

    def get(self, path: str, params: Mapping[str, Any]) -> Any:
        """The `data` of an API answer. Raises OperatingError with the server's own words."""
        query = urlencode(params, doseq=True)
        return self._answered(FetchRequest(self.address(path) + (f"?{query}" if query else "")), TIMEOUT_S)[
            "data"
        ]

    def post(self, path: str, form: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> tuple[Any, list[str]]:
        """The same of a form, which may be long, with the warnings of the answer."""
        body = urlencode(form, doseq=True).encode()
        request = FetchRequest(self.address(path), (("Content-Type", FORM),), method="POST", body=body)
        answer = self._answered(request, timeout_s)
        return answer["data"], answer.get("warnings", [])

    def send(
        self, path: str, body: bytes, headers: tuple[tuple[str, str], ...], timeout_s: float
    ) -> Response:
        """What the server answers to a body, whatever its status. Raises OperatingError."""
        return self._sent(FetchRequest(self.address(path), headers, method="POST", body=body), timeout_s)

    def post_text(self, path: str, text: str, longer_s: float = 0.0) -> Any:
        """The `data` of the answer to a text, which may take so much longer than others."""
        headers = (("Content-Type", "application/yaml"),)
        request = FetchRequest(self.address(path), headers, method="POST", body=text.encode())
        return self._answered(request, TIMEOUT_S + longer_s)["data"]

    def page(self, path: str, timeout_s: float) -> Response:
        """What the server answers, whatever its status. Raises OperatingError."""
        return self._sent(FetchRequest(self.address(path)), timeout_s)

    def address(self, path: str) -> str:
        """The URL of a path, without credentials."""
        parts = self._parts()
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
        return bare.geturl().rstrip("/") + path

    def _parts(self) -> SplitResult:
        url = self.url if "://" in self.url else "http://" + self.url
        REDACTOR.add_url(url)
        try:
            return urlsplit(url)
        except ValueError as error:
            raise UserError(f"{url}: {error}") from None

    def _answered(self, request: FetchRequest, timeout_s: float) -> Any:
        """The body of an answer that says success."""
        answer = self._sent(request, timeout_s)
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict) and body.get("status") == "success":
            return body
        if isinstance(body, dict) and "error" in body:
            raise OperatingError(f"{body.get('errorType', 'error')}: {body['error']}")
        text = answer.body[:200].decode(errors="replace")
        raise OperatingError(f"{request.url}: {answer.status_line}: {text}")

    def _sent(self, request: FetchRequest, timeout_s: float) -> Response:
        config = HttpClient() if self.http_config is None else load_http_config(self.http_config)
        parts = self._parts()
        headers = self.headers
        if parts.username is not None:
            if self.http_config is not None:
                message = "Cannot set base auth in the server URL and use a http.config.file at the same time"
                raise UserError(message)
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = (*headers, ("Authorization", "Basic " + base64.b64encode(pair.encode()).decode()))
        sent = replace(request, timeout_s=timeout_s, body_bytes_max=ANSWER_BYTES_MAX)
        options = client_options(config)
        # those of the client are not sent where a redirect leads to somebody else
        options = replace(options, headers=(*options.headers, *headers))
        return trio.run(_send, HttpFetch(options), sent)


async def _send(fetch: HttpFetch, request: FetchRequest) -> Response:
    try:
        return await fetch.send(request)
    finally:
        await fetch.aclose()
