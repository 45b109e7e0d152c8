"""`trimon check service-discovery`: finds the targets of a job as the server would, and shows what becomes of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimon.cli.argument import ExistingFile
from trimon.cli.findings import EXIT_FAILED
from trimon.config.load import load
from trimon.config.relabel import RelabelConfig
from trimon.config.scrape import ScrapeConfig
from trimon.errors import UserError
from trimon.redaction import redacted
from trimon.units import parse_duration_ms

if TYPE_CHECKING:
    from trimon.discovery.hub import Hub
    from trimon.discovery.providers import Provider
    from trimon.discovery.registry import Registry
    from trimon.discovery.sink import LabelSets


@click.command("service-discovery")
@click.argument("file", type=ExistingFile())
@click.argument("job")
@click.option(
    "--timeout", default="30s", show_default=True, help="How long to wait for sources that say nothing."
)
def service_discovery(file: Path, job: str, timeout: str) -> int:
    """Find the targets of JOB in the configuration FILE, and show their labels before and after relabeling."""
    timeout_s = parse_duration_ms(timeout) / 1000
    try:
        config = load(file)
        if config.scrape_files_error is not None:
            raise config.scrape_files_error
    except UserError as error:
        click.echo(f"Cannot load config {redacted(error.message)}", err=True)
        return EXIT_FAILED
    found = config.job(job)
    if found is None:
        names = "".join(f"\t{each.job_name}\n" for each in config.scrape_configs)
        click.echo(f"Job {job} not found. Select one of:\n{names}", err=True, nl=False)
        return EXIT_FAILED
    sys.stdout.write(_as_go(json.dumps(_checked(found, timeout_s), indent=2, ensure_ascii=False)))
    return 0


def _as_go(text: str) -> str:
    """JSON with the escapes that Go makes."""
    escapes: dict[str, str | int | None] = {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
    return text.translate(str.maketrans(escapes))


def _checked(job: ScrapeConfig, timeout_s: float) -> list[dict[str, object]]:
    """All targets with what becomes of them."""
    import trio  # noqa: PLC0415 # the other checks do without the event loop

    from trimon.discovery.mask import LabelMask  # noqa: PLC0415 # the same
    from trimon.discovery.registry import Registry  # noqa: PLC0415 # the same

    mask = LabelMask()
    found = trio.run(_discover, job, timeout_s, Registry(), mask)
    shown = []
    seen: set[tuple[tuple[str, str], ...]] = set()
    for labels in found:
        result, key = _result(labels, job, mask)
        if key not in seen:
            seen.add(key)
            shown.append(result)
    return shown


async def _discover(
    job: ScrapeConfig, timeout_s: float, registry: Registry, mask: Any
) -> tuple[Mapping[str, str], ...]:
    """What all sources of a job have said when each has said something, or after the time is over."""
    import trio  # noqa: PLC0415 # the other checks do without the event loop

    from trimon.discovery.hub import Hub  # noqa: PLC0415 # the same
    from trimon.discovery.providers import consumer_of, providers_of  # noqa: PLC0415 # the same

    consumer = consumer_of(job)
    providers = providers_of([consumer])
    changes = [trio.Event()]

    def wake() -> None:
        changes[0].set()

    hub = Hub()
    hub.wire({consumer.name: list(providers)})
    running: list[_Running] = []
    with trio.move_on_after(timeout_s) as waiting:
        async with trio.open_nursery() as nursery:
            running += [_Running(provider, registry, hub, mask, wake) for provider in providers.values()]
            for each in running:
                nursery.start_soon(each.run)
            while not all(each.has_said for each in running):
                await changes[0].wait()
                changes[0] = trio.Event()
            nursery.cancel_scope.cancel()
    if waiting.cancelled_caught:
        for each in running:
            each.tell_silence(timeout_s)
    return hub.targets(consumer.name)


class _Running:
    """A source of targets at work, without a restart: what ends it is told."""

    def __init__(
        self, provider: Provider, registry: Registry, hub: Hub, mask: Any, wake: Callable[[], None]
    ) -> None:
        from trimon.clock import WallClock  # noqa: PLC0415 # the other checks do without the event loop
        from trimon.discovery.plugin import Context  # noqa: PLC0415 # the same
        from trimon.discovery.provider import ProviderRun  # noqa: PLC0415 # the same
        from trimon.fetch.client import HttpFetch  # noqa: PLC0415 # the same
        from trimon.log import make_log  # noqa: PLC0415 # the same
        from trimon.offload import ThreadOffload  # noqa: PLC0415 # the same

        options = provider.client()
        context = Context(
            provider.key,
            HttpFetch(options),
            WallClock(),
            ThreadOffload(1),
            make_log("warn", "logfmt", sys.stderr),
            lambda: HttpFetch(options),
        )
        self._hub = hub
        self._run = ProviderRun(provider, registry, self, context, mask)
        self._name = (
            f"{provider.mechanism} ({provider.address()})" if provider.address() else provider.mechanism
        )
        self._over = False
        self._wake = wake

    @property
    def has_said(self) -> bool:
        """Whether nothing has to be waited for any more."""
        return self._over or self._run.stats.publishes > 0

    def tell_silence(self, timeout_s: float) -> None:
        """Says of a source that has said nothing in time why, where it knows."""
        if self.has_said:
            return
        error = str(self._run.own_fields().get("last_error") or "")
        why = f"its last error: {redacted(error)}" if error else "it neither answers nor fails"
        click.echo(f"discovery {self._name} found nothing within {timeout_s:g} s; {why}", err=True)

    def confirm(self, provider: str) -> None:
        """Nothing is new."""

    def update(self, provider: str, groups: Mapping[str, LabelSets], *, complete: bool) -> None:
        """Takes what the source says."""
        self._hub.update(provider, groups, complete=complete)
        self._wake()

    async def run(self) -> None:
        """Runs it; an error is told and ends it."""
        try:
            await self._run.run()
        except Exception as error:  # noqa: BLE001 # a discovery may be anybody's code
            click.echo(f"discovery {self._name} failed: {redacted(str(error) or repr(error))}", err=True)
        self._over = True
        self._wake()


def _result(
    found: Mapping[str, str], job: ScrapeConfig, mask: Any
) -> tuple[dict[str, object], tuple[tuple[str, str], ...]]:
    """What is shown of a target, and its labels as they were found."""
    from trimon.model.labels import INSTANCE_LABEL, labels_of  # noqa: PLC0415 # with the following
    from trimon.scrape.target import DroppedTarget, build_target  # noqa: PLC0415 # few checks need it
    from trimon.server.jobs import pool_options  # noqa: PLC0415 # the same

    options = pool_options(job)
    try:
        target = build_target(found, options)
    except UserError as error:
        before = labels_of(found)
        return {
            "discoveredLabels": dict(mask.labels(before)),
            "labels": {},
            "error": redacted(error.message),
        }, before
    before = target.discovered
    shown: dict[str, object] = {"discoveredLabels": dict(mask.labels(before))}
    labels = dict(before)
    if isinstance(target, DroppedTarget):
        at = next(at for at, rule in enumerate(options.relabeling.rules) if not rule.apply(labels))
        return {**shown, "labels": {}, "droppedBy": _dropping(job.relabel_configs[at], at)}, before
    options.relabeling.apply(labels)
    labels.setdefault(INSTANCE_LABEL, labels.get("__address__", ""))
    after = {name: value for name, value in sorted(labels.items()) if not name.startswith("__meta_")}
    return {**shown, "labels": mask.mapping(after)}, before


def _dropping(rule: RelabelConfig, at: int) -> dict[str, object]:
    """The relabel rule that dropped a target: its index in the job, its action, what it looks at, and where it stands."""
    place = rule.place("action")
    shown: dict[str, object] = {"rule": at, "action": rule.action}
    if rule.source_labels:
        shown["sourceLabels"] = list(rule.source_labels)
    if rule.action in ("keep", "drop"):
        shown["regex"] = redacted(rule.regex)
    if rule.target_label:
        shown["targetLabel"] = rule.target_label
    return {**shown, "place": f"{place.file}:{place.line}"}
