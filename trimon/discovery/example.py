"""A small discovery to read and to copy: the local ports that answer. docs/plugins.md explains it."""

from collections.abc import Mapping

import trio

from trimon.discovery.plugin import Context, Sink, TargetGroup


class LocalPorts:
    """Targets are those of the option `ports` that answer on this machine, looked at every `refresh_s`."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        ports = options["ports"]
        assert isinstance(ports, list)
        self.ports = [int(port) for port in ports]
        self.refresh_s = float(str(options.get("refresh_s", 30)))
        self.log = context.log

    async def run(self, sink: Sink) -> None:
        """Look, publish, wait."""
        while True:
            open_ports = [port for port in self.ports if await self.answers(port)]
            addresses = [f"127.0.0.1:{port}" for port in open_ports]
            sink.publish([TargetGroup.of_addresses("local", addresses)])
            await trio.sleep(self.refresh_s)

    async def answers(self, port: int) -> bool:
        """Whether something listens."""
        with trio.move_on_after(1):
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                return False
            return True
        return False
