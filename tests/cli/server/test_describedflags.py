"""The flags as pages show them."""

from __future__ import annotations

from trimon.cli.server.commandline import read_command_line
from trimon.cli.server.describedflags import described_flags
from trimon.cli.server.flags import FLAGS


def test_every_flag_is_there_with_its_default() -> None:
    """Ours too; what the command line says is told apart from what holds by itself."""
    shown = described_flags(read_command_line(["--query.timeout=1m"]), {"web.route-prefix": "/"})
    assert [flag["name"] for flag in shown] == [flag.name for flag in FLAGS]
    by_name = {flag["name"]: flag for flag in shown}
    timeout = by_name["query.timeout"]
    assert (timeout["value"], timeout["default"], timeout["given"]) == ("1m", "2m", True)
    assert by_name["web.route-prefix"]["value"] == "/"
    assert not by_name["config.file"]["given"]
    assert any(flag["own"] for flag in shown)


def test_a_password_in_a_url_is_not_shown() -> None:
    """A flag with a URL is shown as everywhere, without the password."""
    flags = read_command_line(["--web.external-url=http://me:hunter2@x/"])
    assert "hunter2" not in str(described_flags(flags, {}))
