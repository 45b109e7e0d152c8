"""`trimon check config` as its user types it, and beside what promtool 3.14 says of recorded configurations."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.config.test_oracle import CASES, ENVIRONMENT, written
from tests.support.commandline import run_trimon
from trimon.redaction import REDACTOR

# Ours, and told beside what promtool says: what a file asks for in vain.
IN_VAIN: Final = re.compile(r"  WARNING: nothing acts on \w+ in this version of trimon: .* \(.*:\d+:\d+\)\n")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
@pytest.mark.skipif(not CASES, reason="no ../shared/oracle/config beside the project")
def test_check_config_says_what_promtool_says(tmp_path: Path) -> None:
    """Exit code, standard output and standard error are promtool's, beside warnings of what nothing acts on."""
    wrong: dict[str, Any] = {}
    warned = 0
    for number, case in enumerate(CASES):
        REDACTOR.forget()  # each check is a process of its own
        directory = (tmp_path / str(number)).resolve()
        directory.mkdir()
        main = written(case, directory)
        ran = run_trimon("check", "config", *(["--agent"] if case.get("agent") else []), main)
        out, err = (
            text.replace(str(main), "{file}")
            .replace(str(directory), "{dir}")
            .replace(str(tmp_path), "{parent}")
            for text in (ran.stdout, ran.stderr)
        )
        warned += len(IN_VAIN.findall(err))
        err = IN_VAIN.sub("", err)
        tool = case["promtool"]
        if (ran.exit_code, out, err) != (
            tool["exit"],
            tool["stdout"],
            re.sub(r"source=\S+ ", "", tool["stderr"]),
        ):
            wrong[case["name"]] = (ran.exit_code, out, err)
    assert wrong == {}
    assert warned > 5


def test_positions_are_told_when_they_are_asked_for(tmp_path: Path) -> None:
    """`--positions` adds the file, line and column of a mistake on a line of its own."""
    (tmp_path / "p.yml").write_text("scrape_configs:\n  - job_name: a\n    scrape_timeout: 5m\n")
    ran = run_trimon("check", "config", "--positions", tmp_path / "p.yml")
    assert ran.exit_code == 1
    assert ran.stderr.splitlines()[-1] == f"  at {tmp_path / 'p.yml'}:3:5"
    assert "  at " not in run_trimon("check", "config", tmp_path / "p.yml").stderr


def test_each_of_several_errors_has_its_position(tmp_path: Path) -> None:
    """Of a configuration, of a scrape config file, and of rule files, be it their shape or their meaning that is wrong."""
    main = tmp_path / "p.yml"
    jobs = tmp_path / "jobs.yml"
    rules = tmp_path / "r.yml"
    main.write_text("foo: 1\nglobal:\n  bar: 1\n")
    jobs.write_text("scrape_configs:\n- job_name: a\n  foo: 1\n  bar: 2\n")

    def places(*command: str | Path) -> list[str]:
        ran = run_trimon("check", *command, "--positions")
        assert ran.exit_code == 1
        return [line.strip() for line in ran.stderr.splitlines() if line.startswith("  at ")]

    assert places("config", main) == [f"at {main}:1:1", f"at {main}:3:3"]
    main.write_text("scrape_config_files: [jobs.yml]\n")
    assert places("config", main) == [f"at {jobs}:3:3", f"at {jobs}:4:3"]
    rules.write_text("groups:\n- name: g\n  rules:\n  - {record: a, foo: 1}\n  - {record: b, bar: 1}\n")
    assert places("rules", rules) == [f"at {rules}:4:17", f"at {rules}:5:17"]
    rules.write_text("groups:\n- name: g\n  rules:\n  - {record: a, expr: '('}\n  - {record: b, expr: ')'}\n")
    assert places("rules", rules) == [f"at {rules}:4:23", f"at {rules}:5:23"]


def test_a_section_without_effect_is_told(tmp_path: Path) -> None:
    """`check config` warns of what a start warns of: the Go runtime's section, whatever it says."""
    (tmp_path / "p.yml").write_text("runtime: {gogc: 75}\n")
    ran = run_trimon("check", "config", tmp_path / "p.yml")
    assert ran.exit_code == 0
    assert IN_VAIN.fullmatch(ran.stderr)
    assert "nothing acts on runtime" in ran.stderr


def test_a_check_does_not_wait_for_the_server_s_imports(tmp_path: Path) -> None:
    """Checking a plain configuration imports neither the event loop nor the web framework nor the log."""
    (tmp_path / "p.yml").write_text("scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1']}]}]")
    program = (
        "import sys\nfrom trimon.cli.main import main\n"
        f"try:\n    main(['check', 'config', {str(tmp_path / 'p.yml')!r}])\nexcept SystemExit as end:\n    code = end.code\n"
        "print(code, sorted({'trio', 'quart', 'httpx', 'hypercorn', 'trimon.log'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_bad_argument_is_one_line() -> None:
    """Unknown options and files that are not there are told in one line, exit code 1."""
    assert (
        run_trimon("check", "config", "--foo", "x").stderr
        == "trimon: error: unknown long flag '--foo', try --help\n"
    )
    missing = run_trimon("check", "config", "/no/such/file")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "trimon: error: path '/no/such/file' does not exist, try --help\n",
    )


@pytest.mark.parametrize("name", ["check", "debug", "promql", "push", "query", "test", "tsdb"])
def test_a_command_alone_shows_its_help(name: str) -> None:
    """A command without a subcommand prints its help as it is on standard error; the exit code is promtool's."""
    done = run_trimon(name)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Usage: trimon {name} [OPTIONS] COMMAND")
    assert "error" not in done.stderr.splitlines()[0]
    assert "try --help" not in done.stderr


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("authorization: {credentials_file: {}}", "authorization credentials or bearer token file"),
        ("bearer_token_file: {}", "authorization credentials or bearer token file"),
        ("tls_config: {cert_file: {}, key_file: {}}", "client cert file"),
    ],
)
def test_a_file_that_cannot_be_named_is_told(text: str, what: str, tmp_path: Path) -> None:
    """A path with a NUL fails the check as a file that is not there does."""
    config = tmp_path / "p.yml"
    filled = text.replace("{}", '"/no\\0where"')
    config.write_text(f"scrape_configs: [{{job_name: a, {filled}}}]\n")
    ran = run_trimon("check", "config", config)
    assert ran.exit_code == 1
    assert f'error checking {what} "/no\\x00where": stat /no\0where: invalid argument' in ran.stderr


def test_a_number_without_end_is_told(tmp_path: Path) -> None:
    """An integer of more digits than Python reads is a wrong type with its line."""
    config = tmp_path / "p.yml"
    config.write_text(f"scrape_configs:\n- job_name: a\n  sample_limit: {'9' * 5000}\n")
    ran = run_trimon("check", "config", config)
    assert ran.exit_code == 1
    assert "line 3: cannot unmarshal !!int `9999999...` into uint" in ran.stderr


def test_strict_checks_refuse_what_prometheus_does_not_know(tmp_path: Path) -> None:
    """Keys of ours are unknown fields with `--compat=strict`, in both kinds of files, and in rules that are tested."""
    main, rules, unit = tmp_path / "c.yml", tmp_path / "r.yml", tmp_path / "t.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: A, expr: up == 0, on_no_data: keep}]}]")
    main.write_text(
        "rule_files: [r.yml]\nscrape_configs: [{job_name: a, trimon_sd_configs: [{plugin: 'a:b'}]}]"
    )
    unit.write_text("rule_files: [r.yml]\ntests: [{interval: 1m}]")
    for arguments, lacking in (
        (("check", "rules", rules), "field on_no_data not found in type rulefmt."),
        (("check", "config", "--syntax-only", main), "field trimon_sd_configs not found in type config."),
        (("test", "rules", unit), "field on_no_data not found in type rulefmt."),
    ):
        assert run_trimon(*arguments).exit_code == 0
        ran = run_trimon(*arguments, "--compat=strict")
        assert ran.exit_code == 1
        assert lacking in ran.stdout + ran.stderr
