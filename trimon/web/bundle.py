"""/debug/bundle: what the server knows of itself as one archive, for whoever is asked for help; secrets are left out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

import orjson

from trimon.actors.kernel.tree import plain
from trimon.gotext.times import rfc3339
from trimon.offload import Offload, ThreadOffload
from trimon.redaction import redacted, shown_url
from trimon.web.context import WebContext
from trimon.web.debug import tree_json
from trimon.web.http.answer import Answer
from trimon.web.http.endpoint import Access, Endpoint, Role
from trimon.web.http.pieces import gathered
from trimon.web.http.request import Request
from trimon.web.management import build_info

_README: Final = """\
What a trimon server told of itself at {time}.

config.yml    the configuration in effect, secrets masked
flags.json    flags of the command line
metrics.txt   its own metrics
actors.json   the supervision tree with mailboxes and what each actor shows of itself
problems.json faults of the data directory that were found, and the figures of the store
crashes.json  the last crashes of actors and requests
queries.json  queries at work, and how many wait
memory.json   the budget of memory and who holds how much
plugins.json  discoveries
status.json   version, runtime, security of the listener
failed.json   what could not be told, and why (only where there is something)

Known secrets are replaced by <secret> in all texts. Names of hosts, labels and texts of queries are not: look at it
before you give it to somebody.
"""


def bundle_endpoints(context: WebContext) -> list[Endpoint]:
    """/debug/bundle."""
    # A thread of its own: it is wanted most when all others are at work.
    threads = ThreadOffload(1)

    async def bundle(_: Request) -> Answer:
        return await _bundle(context, threads)

    return [
        Endpoint(
            "/debug/bundle",
            ("GET",),
            bundle,
            access=Access.LOOPBACK,
            role=Role.DEBUG,
            own=True,
            summary="Gives an archive of what the server knows of itself, without secrets.",
        )
    ]


async def _bundle(context: WebContext, threads: Offload) -> Answer:
    time = rfc3339(context.clock.now_ms())
    failed: dict[str, str] = {}
    texts: dict[str, bytes] = {"README.txt": _README.format(time=time).encode()}
    for name, member in _members(context).items():
        try:
            texts[name] = member()
        except Exception as error:  # noqa: BLE001 # what one part cannot tell the others do: something is wrong already
            failed[name] = f"{type(error).__name__}: {error}"
    texts["actors.json"] = await gathered(tree_json(context.tree()))
    if failed:
        texts["failed.json"] = _json(failed)
    body = await threads.run(lambda: _archive(texts))
    answer = Answer(body, 200, "application/zip")
    stamp = time.replace(":", "").partition(".")[0]
    answer.headers["Content-Disposition"] = f'attachment; filename="trimon-{stamp}.zip"'
    return context.held(answer)


def _members(context: WebContext) -> Mapping[str, Callable[[], bytes]]:
    """What is read on the loop's thread, each for itself, by the name of its file."""

    def status() -> bytes:
        return _json({"build": build_info(), "runtime": dict(context.runtime()), "ready": context.ready()})

    def problems() -> bytes:
        return _json({"problems": context.store.problems, "figures": asdict(context.store.figures())})

    return {
        "config.yml": lambda: context.config_yaml().encode(),
        "flags.json": lambda: _json({name: shown_url(value) for name, value in context.flags.items()}),
        "metrics.txt": context.metrics.expose,
        "problems.json": problems,
        "crashes.json": lambda: _json([report.as_dict() for report in context.tree().reports.latest()]),
        "queries.json": lambda: _json(dict(context.queries.inspect())),
        "memory.json": lambda: _json(dict(context.memory())),
        "plugins.json": lambda: _json(list(context.plugins())),
        "status.json": status,
    }


def _json(data: object) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_INDENT_2, default=plain)


def _archive(texts: Mapping[str, bytes]) -> bytes:
    """The texts without secrets, in an archive; some hundred milliseconds where there are many actors."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in texts.items():
            archive.writestr(name, redacted(text.decode("utf-8", "replace")))
    return out.getvalue()
