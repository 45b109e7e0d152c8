"""Targets that say our credentials back: what is kept of that, and what is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trimon.config import load_text
from trimon.fetch.request import Response
from trimon.scrape.echoes import ECHOED
from trimon.scrape.metadatanews import MetadataNews
from trimon.scrape.options import PoolOptions
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target, build_target
from trimon.server.jobs import job_config

BODY = """# HELP a_total we got {} from you
# TYPE a_total counter
# UNIT a_total x{}x
a_total 1
"""


def session_of(text: str) -> tuple[ScrapeSession, object]:
    """A session of the job's target, and its credentials, which were asked for once."""
    config = load_text(f"scrape_configs: [{{job_name: j, {text}}}]", "/p.yml")
    job = job_config(config.scrape_configs[0])
    fetch = job.fetch()
    headers = fetch._own_headers()  # type: ignore[attr-defined] # as a request does
    target = build_target({"__address__": "a:1"}, job.options)
    assert isinstance(target, Target)
    return ScrapeSession(target, job.options), headers


def answered(session: ScrapeSession, body: str, time_ms: int = 1000) -> str:
    response = Response(200, "OK", "text/plain; version=0.0.4", body.encode(), len(body))
    session.succeed(response, time_ms, 0.1)
    return session.state.last_error


@pytest.mark.parametrize(
    ("job", "echoes"),
    [
        ("basic_auth: {username: u, password: hunter2hunter}", ["hunter2hunter", "dTpodW50ZXIyaHVudGVy"]),
        ("authorization: {credentials: hunter2/hunter}", ["hunter2/hunter", "Bearer hunter2%2Fhunter"]),
        ("bearer_token: hunter2hunter", ["hunter2hunter"]),
        ("http_headers: {X-A: {secrets: [hunter2hunter]}}", ["hunter2hunter"]),
        ("params: {token: [hunter2hunter]}", ["/metrics?token=hunter2hunter"]),
        ("basic_auth: {username: u, password_file: FILE}", ["hunter2hunter"]),
    ],
)
def test_metadata_has_no_credentials(job: str, echoes: list[str], tmp_path: Path) -> None:
    """Help texts and units that hold what was sent are kept with it masked, for the API and for storage."""
    (tmp_path / "file").write_text("hunter2hunter\n")
    session, _ = session_of(job.replace("FILE", str(tmp_path / "file")))
    for place, echo in enumerate(echoes):
        assert answered(session, BODY.format(echo, echo), 1000 * (place + 1)) == ""
        (family,) = session.families.values()
        assert "<secret>" in family.help
        assert family.help.startswith("we got ")
        assert "hunter2" not in str(session.families)
        assert echo not in str(session.families)
        assert family.type == "counter"
        metadata = MetadataNews().news(session.families)
        assert echo not in str(metadata)


def test_metadata_without_credentials_is_kept_as_it_is() -> None:
    """Neither the secrets of others nor words are masked there."""
    session, _ = session_of("basic_auth: {username: u, password: hunter2hunter}")
    assert answered(session, BODY.format("otherword", "y")) == ""
    assert session.families["a_total"].help == "we got otherword from you"
    without = ScrapeSession(session.target, PoolOptions("j"))
    answered(without, BODY.format("hunter2hunter", "y"))
    assert without.families["a_total"].help == "we got hunter2hunter from you"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('a{x="hunter2hunter"} 1', True),
        ("hunter2hunter 1", True),
        ('a{x="Basic dTpodW50ZXIyaHVudGVy"} 1', True),
        ("# HELP a hunter2hunter\na 1", False),
        ("# hunter2hunter\n# hunter2hunter\na 1", False),
        ('# hunter2hunter\na{x="hunter2hunter"} 1', True),
        ("a 1", False),
    ],
)
def test_series_that_hold_a_credential_are_told_and_stored(line: str, told: bool) -> None:
    """The target stays up, its samples are stored, and its error says what is the matter, without the secret."""
    session, _ = session_of("basic_auth: {username: u, password: hunter2hunter}")
    assert (answered(session, f"{line}\n") == ECHOED) == told
    assert session.state.health == "up"
    assert session.state.series == 1
    assert "hunter2" not in session.state.last_error
    assert answered(session, "a 1\n", 2000) == ""


def test_short_secrets_are_not_looked_for_in_series() -> None:
    """A password that is a word would be found in names of metrics."""
    session, _ = session_of("basic_auth: {username: u, password: secret}")
    assert answered(session, "my_secret_total 1\n") == ""


def test_a_secret_that_changes_is_looked_for_as_it_is() -> None:
    """What counts is what was sent last."""
    sent = ["first-secret"]
    options = replace(PoolOptions("j"), sent_secrets=lambda: tuple(sent))
    target = build_target({"__address__": "a:1"}, options)
    assert isinstance(target, Target)
    session = ScrapeSession(target, options)
    assert answered(session, 'a{x="second-secret"} 1\n') == ""
    sent[0] = "second-secret"
    assert answered(session, 'a{x="second-secret"} 1\n', 2000) == ECHOED
