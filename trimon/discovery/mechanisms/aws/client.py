"""Requests to one service of AWS, signed, in the three protocols that the services have.

query        a form with Action and Version  ─ XML       EC2, RDS, ElastiCache
JSON 1.1     a target in a header, JSON      ─ JSON      ECS, Lightsail
REST         a path and a query              ─ JSON      MSK
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from trimon.discovery.asking.api import Api, Headers, retry_after_s
from trimon.discovery.asking.record import ExactRecord, Record, SourceError
from trimon.discovery.asking.xmltree import Element, tree_of
from trimon.discovery.plugin import Context
from trimon.fetch.request import Response
from trimon.peers.aws.endpoints import endpoint_url
from trimon.peers.aws.keychain import FORM, KeyChain
from trimon.peers.aws.signature import signed_headers

T = TypeVar("T")

JSON_1_1: Final = "application/x-amz-json-1.1"
_SHOWN: Final = 200
_ERROR_BYTES: Final = 4096
_XML_CODE: Final = re.compile(r"<Code>([^<]{1,100})</Code>")
_XML_MESSAGE: Final = re.compile(r"<Message>([^<]*)</Message>")


class AwsError(SourceError):
    """A service refused a request."""

    def __init__(self, message: str, status: int, code: str, retry_s: float = 0.0) -> None:
        super().__init__(message, retry_s)
        self.status = status
        self.code = code


class AwsClient:
    """Requests to one service; `endpoint` is a URL to ask at instead of that of the region."""

    def __init__(self, context: Context, api: Api, keys: KeyChain, service: str, endpoint: str = "") -> None:
        self._context = context
        self._api = api
        self._keys = keys
        self._service = service
        self._endpoint = endpoint

    async def query(self, version: str, action: str, form: Mapping[str, str] | None = None) -> Element:
        """The XML that an action answers. Raises AwsError, SourceError, FetchError."""
        return await self.read(version, action, form or {}, lambda tree: tree)

    async def read(
        self, version: str, action: str, form: Mapping[str, str], reader: Callable[[Element], T]
    ) -> T:
        """What a reader makes of that XML, in a thread where it is much; the tree is forgotten after it."""
        fields = {"Action": action, "Version": version, **form}
        body = urlencode(sorted(fields.items())).encode()
        answer = await self._sent("POST", "", (("Content-Type", FORM),), body, action)
        return await self._api.read(answer, lambda text: reader(tree_of(text)))

    async def json(self, target: str, fields: Mapping[str, object]) -> Record:
        """The JSON that a target (`Service.Action`) answers. Raises AwsError, SourceError, FetchError."""
        headers = (("Content-Type", JSON_1_1), ("X-Amz-Target", target))
        body = json.dumps(fields, separators=(",", ":")).encode()
        answer = await self._sent("POST", "", headers, body, target.rpartition(".")[2])
        return await self._api.read(answer, ExactRecord.of_json)

    async def get(self, path: str, query: Mapping[str, str], what: str) -> Record:
        """The JSON at a path, quoted already. Raises AwsError, SourceError, FetchError."""
        text = f"{path}?{urlencode(sorted(query.items()))}" if query else path
        return await self._api.read(await self._sent("GET", text, (), b"", what), ExactRecord.of_json)

    async def _sent(self, method: str, path: str, headers: Headers, body: bytes, what: str) -> Response:
        await self._keys.prepare()
        region = await self._keys.region()
        base = self._endpoint or endpoint_url(self._service, region, self._keys.environment)
        url = f"{base.rstrip('/')}{path or '/'}"
        at = datetime.fromtimestamp(self._context.clock.now_ms() / 1000, UTC)
        proved = signed_headers(
            self._keys.keys(), region, self._service, method, urlsplit(url), headers, body, at
        )
        answer = await self._api.send(url, proved, method=method, body=body)
        if answer.status != 200:
            if answer.status in (401, 403):
                self._keys.forget()
            raise self._refused(answer, what)
        return answer

    def _refused(self, answer: Response, what: str) -> AwsError:
        code, message = _error_of(answer)
        said = ": ".join(part[:_SHOWN] for part in (code, message) if part)
        text = f"{self._service} {what}: server returned HTTP status {answer.status_line}"
        wait_s = retry_after_s(answer, self._context.clock)
        return AwsError(f"{text}: {said}" if said else text, answer.status, code, wait_s)


def _error_of(answer: Response) -> tuple[str, str]:
    """The code and the message of an error, in whichever of the forms it has."""
    text = answer.body[:_ERROR_BYTES].decode("utf-8", "replace")
    code = answer.headers.get("x-amzn-errortype", "").partition(":")[0]
    if text.lstrip().startswith("{"):
        try:
            fields = ExactRecord.of_json(text)
            code = code or fields.text("__type").rpartition("#")[2]
            return code, fields.text("message") or fields.text("Message")
        except SourceError:
            return code, ""
    found, message = _XML_CODE.search(text), _XML_MESSAGE.search(text)
    return (found[1] if found else code), (message[1] if message else "")
