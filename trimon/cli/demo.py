"""`trimon demo`: a server with example targets and six hours of their past, so that every page shows something."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import click
import trio

from trimon.cli.server.commandline import CommandLineError, ServerFlags, read_command_line
from trimon.cli.server.serveroptions import listen_addresses, own_address, web_options
from trimon.clock import WallClock
from trimon.demo.configuration import write_configuration
from trimon.demo.fleet import HOST, Fleet, closed_port
from trimon.demo.history import past
from trimon.demo.shop import PAST_S, fleet
from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles
from trimon.random import SYSTEM_RANDOMNESS
from trimon.storage.block.meta import BlockNames
from trimon.storage.tools.backfill import create_blocks

FEATURES: Final = "--enable-feature=exemplar-storage,promql-experimental-functions"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def demo(flags: tuple[str, ...]) -> int:
    """Start a server with a fleet of example targets, rules and alerts, and six hours of their past.

    FLAGS are those of the server, as --web.listen-address=127.0.0.1:9091. Data is in a temporary directory, which is removed at
    the end, unless --storage.tsdb.path says where.
    """
    try:
        read = read_command_line(flags)
    except CommandLineError as error:
        raise UserError(error.message) from None
    if "config.file" in read.given:
        raise UserError("--config.file cannot be given: the example has a configuration of its own")
    with tempfile.TemporaryDirectory(prefix="trimon-demo-") as name:
        return trio.run(_run, Path(name), flags, read)


async def _run(directory: Path, flags: tuple[str, ...], read: ServerFlags) -> int:
    """Serves targets until the server, a process of its own, has ended; its exit code."""
    clock = WallClock()
    targets = fleet()
    began_s = clock.now_ms() / 1000 - PAST_S
    data = Path(read["storage.tsdb.path"]) if "storage.tsdb.path" in read.given else directory / "data"
    if not data.exists():
        names = BlockNames(clock, SYSTEM_RANDOMNESS)
        made = list(create_blocks(DiskFiles(), data, past(targets, began_s, PAST_S), names))
        samples = sum(meta.samples for meta in made)
        print(f"six hours of the past: {samples} samples of {len(targets)} targets", flush=True)
    listeners = await trio.open_tcp_listeners(0, host=HOST)
    address = f"{HOST}:{listeners[0].socket.getsockname()[1]}"
    held, closed = closed_port()
    own = own_address(listen_addresses(read["web.listen-address"]))
    web = web_options(read, own, listen_addresses(read["web.listen-address"]), "http")
    file = write_configuration(directory, targets, address, closed, own, web.route_prefix)
    command = [
        sys.executable, "-m", "trimon", f"--config.file={file}", f"--storage.tsdb.path={data}", FEATURES,
        *(flag for flag in _without_path(flags)),
    ]  # fmt: skip
    print(f"configuration: {file}; the pages: http://{own}{web.route_prefix}/query", flush=True)
    with contextlib.closing(held):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Fleet(targets, began_s, clock).serve, listeners)
            code = await _serve(command)
            nursery.cancel_scope.cancel()
    return code


def _without_path(flags: tuple[str, ...]) -> list[str]:
    """The flags that go on to the server as they are; the path of the data stands in its command already."""
    kept: list[str] = []
    waiting = list(flags)
    while waiting:
        flag = waiting.pop(0)
        if flag == "--storage.tsdb.path":
            waiting.pop(0)
        elif not flag.startswith("--storage.tsdb.path="):
            kept.append(flag)
    return kept


async def _serve(command: list[str]) -> int:
    """Runs the server, hands signals on to it, and returns its exit code."""
    try:
        process = await trio.lowlevel.open_process(command, start_new_session=True)
    except OSError as error:
        raise OperatingError(f"{command[0]}: {error.strerror}") from None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hand_on_signals, process)
        code = await process.wait()
        nursery.cancel_scope.cancel()
    return code


async def _hand_on_signals(process: trio.Process) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
        async for number in received:
            process.send_signal(number)
