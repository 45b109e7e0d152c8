"""A new configuration: what it would change, and taking it over with a way back."""

from __future__ import annotations

from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.units import parse_duration_ms
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter, Role
from trimon.web.http.request import BodyTooLong, Request

WATCH_DEFAULT: Final = "1m"
WATCH_MS_MAX: Final = 3_600_000
NAME_CHARACTERS_MAX: Final = 1024
NAME_DEFAULT: Final = "(request body)"
# Lines of YAML that say nothing.
_NOTHING: Final = frozenset(("---", "...", "null", "~", "--- null", "--- ~"))
_DISABLED: Final = "Lifecycle API is not enabled."


_NAME: Final = Parameter("name", "What errors call the configuration, such as the file that it comes from.")


class ConfigPlanHandler:
    """Answers about configurations that do not hold yet. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def plan(self, request: Request) -> Answer:
        """/config/plan."""
        text = await self._text(request)
        name = _name(request)
        return success(await request.attended(lambda: self._context.plan_config(text, name)))

    async def apply(self, request: Request) -> Answer:
        """/config/apply; a client that leaves before the end has the configuration rolled back."""
        text = await self._text(request)
        name = _name(request)
        watch = request.query().get("watch", "") or WATCH_DEFAULT
        try:
            watch_ms = 0 if watch == "0" else parse_duration_ms(watch)
        except UserError as error:
            raise ApiError("bad_data", f"invalid watch: {error.message}") from None
        if watch_ms > WATCH_MS_MAX:
            raise ApiError("bad_data", "watch must not exceed 1h")
        return success(
            await request.attended(lambda: self._context.apply_config(text, name, watch_ms / 1000))
        )

    async def _text(self, request: Request) -> str:
        if not self._context.options.enable_lifecycle:
            raise ApiError("unavailable", _DISABLED, status=403)
        try:
            body = await request.body()
        except BodyTooLong:
            body = b""
            too_long = True
        else:
            too_long = len(body) > limits.CONFIG_FILE_BYTES_MAX
        if too_long:
            raise ApiError("bad_data", f"a configuration has at most {limits.CONFIG_FILE_BYTES_MAX} bytes")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise ApiError("bad_data", "a configuration is UTF-8") from None
        if _is_empty(text):
            raise ApiError(
                "bad_data",
                "the body holds no configuration; one that is to remove everything says so: `scrape_configs: []`",
            )
        return text


def _is_empty(text: str) -> bool:
    """Whether there is nothing in it but comments, and marks of documents."""
    lines = (line.strip().lstrip("\ufeff") for line in text.splitlines())
    return all(not line or line.startswith("#") or line in _NOTHING for line in lines)


def _name(request: Request) -> str:
    """What errors call the text."""
    name = request.query().get("name", "")
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise ApiError("bad_data", f"name has at most {NAME_CHARACTERS_MAX} characters, all printable")
    return name or NAME_DEFAULT


def config_plan_endpoints(context: WebContext) -> list[Endpoint]:
    """/config/*."""
    handler = ConfigPlanHandler(context)
    return [
        Endpoint(
            API_PREFIX + "/config/plan",
            ("POST",),
            handler.plan,
            role=Role.ADMIN,
            changes=True,
            watches_client=True,
            own=True,
            summary="Says what the configuration in the body would change.",
            parameters=(_NAME,),
        ),
        Endpoint(
            API_PREFIX + "/config/apply",
            ("POST",),
            handler.apply,
            role=Role.ADMIN,
            changes=True,
            watches_client=True,
            own=True,
            summary="Takes over the configuration in the body, and goes back when targets or rules fail by it.",
            parameters=(
                Parameter(
                    "watch", "How long it is watched, a duration; 1m by default, 0 for not at all.", Kind.TEXT
                ),
                _NAME,
            ),
        ),
    ]
