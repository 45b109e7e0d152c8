"""The table of flags and the table of feature flags: all of Prometheus', each with an effect or a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.oracle import recordings
from trimon.cli.server.commandline import CommandLineError, read_command_line, shown_value
from trimon.cli.server.features import FEATURES, enabled_features
from trimon.cli.server.flags import FLAGS, INERT, Flag
from trimon.cli.server.serveroptions import check_flags, shown_flags
from trimon.errors import UserError
from trimon.log import LogBuffer
from trimon.storage.options import StoreOptions

ROOT: Final = Path(__file__).parents[3]
CASES: Final = recordings("config/flags.jsonl")
OTHER_DEFAULTS: Final = {
    "web.listen-address": "trimon listens on loopback unless it is told otherwise",
}

recorded = pytest.mark.skipif(not CASES, reason="no ../shared/oracle/config beside the project")


def shown_of(case: dict[str, Any]) -> dict[str, str] | None:
    for path, (_, answer) in (case.get("got") or {}).items():
        if path.endswith("/api/v1/status/flags"):
            found: dict[str, str] = answer["data"]
            return found
    return None


def test_every_flag_has_an_effect_or_a_reason() -> None:
    """A flag is read by the code that starts a server, or the table says why nothing acts on it."""
    sources = "".join(
        (ROOT / "trimon" / "cli" / name).read_text()
        for name in ("server/serve.py", "server/serveroptions.py", "main.py")
    )
    for flag in FLAGS:
        used = f'"{flag.name}"' in sources
        assert used or flag.inert, flag.name
    assert INERT.keys() <= {flag.name for flag in FLAGS}


def test_a_flag_without_effect_is_warned_of_by_name() -> None:
    """Each inert flag on a command line is one warning with its name and the reason; the others are none."""
    for flag in FLAGS:
        if flag.name == "web.config.file":
            continue
        text = flag.default or {"duration": "1h"}.get(flag.kind, "x")
        flags = read_command_line([f"--{flag.name}" if flag.kind == "bool" else f"--{flag.name}={text}"])
        log = LogBuffer()
        check_flags(flags, log)
        wanted = [("flag has no effect", f"--{flag.name}", flag.inert)] if flag.inert else []
        assert [(what, fields["flag"], fields["reason"]) for _, what, fields in log.entries] == wanted


def test_every_feature_has_an_effect_or_a_reason() -> None:
    """A feature flag is known to some part, or the table says why nothing acts on it, and a start tells."""
    sources = "".join(
        path.read_text()
        for path in (ROOT / "trimon").rglob("*.py")
        if path.name not in ("features.py", "flags.py")
    )
    for name, feature in FEATURES.items():
        assert feature.inert or f'"{name}"' in sources, name
        log = LogBuffer()
        if name == "st-storage":
            continue
        assert enabled_features((name,), log) == {name}
        told = [fields.get("option") for level, _, fields in log.entries if level == "warn"]
        assert told == ([name] if feature.inert or feature.note else [])


def test_unknown_features_only_warn() -> None:
    """An unknown name is a warning, also an empty one between commas, and switches nothing on."""
    log = LogBuffer()
    assert enabled_features(("foo,,promql-per-step-stats",), log) == {"promql-per-step-stats"}
    assert [fields["option"] for _, _, fields in log.entries] == ["foo", ""]


@recorded
def test_the_flags_are_those_of_prometheus_with_their_defaults() -> None:
    """Every flag that Prometheus shows is in the table with its default, and no other is shown by default."""
    (wanted,) = [shown_of(case) for case in CASES if case["name"] == "flag-defaults"]
    assert wanted is not None
    given = ("config.file", "storage.tsdb.path")
    options = StoreOptions(path=Path())
    ours = shown_flags(read_command_line([]), "", options)
    assert ours.keys() == wanted.keys()
    different = {name for name in ours if ours[name] != wanted[name]}
    assert different == {*OTHER_DEFAULTS, *given}


@recorded
@pytest.mark.parametrize(
    "case", [case for case in CASES if shown_of(case)], ids=lambda case: str(case["name"])
)
def test_values_are_shown_as_prometheus_shows_them(case: dict[str, Any]) -> None:
    """The flags of a command line read as in /api/v1/status/flags of a real 3.14, those that it leaves out, too."""
    wanted = shown_of(case)
    assert wanted is not None
    flags = read_command_line(case["args"])
    shown = shown_flags(flags, "", StoreOptions(path=Path(), keeps_blocks=not flags["agent"]))
    # Unless given they come of the configuration; the prefix is also that of the external address.
    computed = {"storage.tsdb.max-block-duration"} - {*flags.given} | {"web.route-prefix"}
    for flag in FLAGS:
        if flag.name in flags.given and flag.name not in computed:
            assert shown_value(flag, flags[flag.name]) == wanted[flag.name]
        elif flag.name in wanted and flag.name not in computed | OTHER_DEFAULTS.keys():
            assert shown[flag.name] == wanted[flag.name], flag.name


@recorded
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["program"] == "prometheus"],
    ids=lambda case: str(case["name"]),
)
def test_a_command_line_is_read_or_refused_as_prometheus_does(case: dict[str, Any]) -> None:
    """The same command lines cannot be read, in the same words and with the same exit code."""
    heads = [line for line in case["stderr"] if line.startswith("Error parsing command line arguments: ")]
    if any(argument.startswith("@") for argument in case["args"]):
        return
    if not heads:
        read_command_line(case["args"])
        return
    with pytest.raises(CommandLineError) as refused:
        read_command_line(case["args"])
    assert f"Error parsing command line arguments: {refused.value.message}" == heads[0]
    assert refused.value.exit_code == case["exit"]


def test_arguments_may_stand_in_a_file(tmp_path: Path) -> None:
    """`@file` stands for the lines of the file."""
    (tmp_path / "args").write_text("--query.timeout=7s\n\n--web.enable-lifecycle\n")
    flags = read_command_line([f"@{tmp_path / 'args'}", "--log.level", "warn"])
    assert (flags["query.timeout"], flags["web.enable-lifecycle"], flags["log.level"]) == (
        7_000,
        True,
        "warn",
    )


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("web.confg.file", "web.config.file"),
        ("web.enable-lifecyle", "web.enable-lifecycle"),
        ("no-web.enable-lifecyle", "web.enable-lifecycle"),
        ("frobnicate", ""),
    ],
)
def test_a_typo_is_told_what_may_be_meant(wrong: str, meant: str) -> None:
    """The hint is a flag that exists, or there is none."""
    with pytest.raises(CommandLineError) as refused:
        read_command_line([f"--{wrong}=x"])
    assert refused.value.hint == (f"did you mean --{meant}?" if meant else "")


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.least], ids=lambda flag: flag.name)
def test_a_value_below_the_least_is_refused_by_name(flag: Flag) -> None:
    """The least value is taken, what is less is an error with flag, limit and value."""
    below = {"duration": "0s", "count": str(int(float(flag.least)) - 1) if flag.kind == "count" else ""}[
        flag.kind
    ]
    check_flags(read_command_line([f"--{flag.name}={flag.least}"]), LogBuffer())
    with pytest.raises(UserError, match=f"--{flag.name} must be at least {flag.least}, got {below}"):
        check_flags(read_command_line([f"--{flag.name}={below}"]), LogBuffer())


@pytest.mark.parametrize("text", ["1e400", "-1e400"])
def test_a_number_without_end_is_no_value(text: str) -> None:
    """What no float holds is out of range."""
    for name in ("web.max-connections", "auto-gomemlimit.ratio"):
        with pytest.raises(CommandLineError, match="value out of range"):
            read_command_line([f"--{name}={text}"])
