"""Secrets: no way of showing them shows them."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.config import (
    MASK,
    Secret,
    effective_yaml,
    fingerprint,
    load_text,
    looks_secret,
    masked_url,
)
from trimon.config.discovery.plugin import PluginSdConfig
from trimon.errors import UserError
from trimon.redaction import redacted

HIDDEN = "hunter2-never-to-be-seen"


def shown(value: object) -> list[str]:
    """The value in every form that people and programs use."""
    return [
        repr(value),
        str(value),
        f"{value}",
        f"{value!r:>30}",
        "%s" % (value,),  # noqa: UP031 - it is one of the forms
        json.dumps(value, default=str),
        repr([value]),
        repr(pickle.loads(pickle.dumps(value))),
        pickle.dumps(value).decode("latin-1"),
    ]


def test_a_secret_shows_its_mask_only() -> None:
    """repr, str, format, JSON and pickle never contain the value; reveal gives it."""
    secret = Secret(HIDDEN)
    assert all(HIDDEN not in text for text in shown(secret))
    assert str(secret) == MASK
    assert secret.reveal() == HIDDEN
    assert copy.deepcopy(secret).reveal() == HIDDEN
    assert secret == Secret(HIDDEN)
    assert secret != Secret("other")
    assert hash(secret) == hash(Secret(HIDDEN))
    assert not Secret()
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert not hasattr(secret, "__dict__")


EVERYWHERE = f"""
scrape_configs:
  - job_name: a
    basic_auth: {{username: u, password: "{HIDDEN}"}}
    tls_config: {{cert: c, key: "{HIDDEN}"}}
    proxy_url: http://user:{HIDDEN}@proxy:3128
    http_headers: {{X-Key: {{secrets: ["{HIDDEN}"]}}}}
    trimon_sd_configs:
      - plugin: m:a
        options: {{api_token: "{HIDDEN}", nested: {{db: [{{Password: "{HIDDEN}"}}]}}, keys: "{HIDDEN}", port: 5}}
  - job_name: b
    authorization: {{credentials: "{HIDDEN}"}}
  - job_name: c
    bearer_token: "{HIDDEN}"
"""


def test_no_secret_leaves_a_configuration() -> None:
    """The effective configuration, reprs, dataclass dumps and pickles of a loaded one hold no secret."""
    text = EVERYWHERE.replace(f', keys: "{HIDDEN}"', "")
    config = load_text(text, "p.yml")
    forms = [
        effective_yaml(config),
        repr(config),
        str(dataclasses.asdict(config.scrape_configs[1])),
        fingerprint(config.scrape_configs),
    ]
    assert all(HIDDEN not in form for form in forms)
    assert "password: <secret>" in forms[0]
    assert "proxy_url: http://user:xxxxx@proxy:3128" in forms[0]
    a = config.scrape_configs[0]
    assert a.basic_auth is not None
    assert a.basic_auth.password.reveal() == HIDDEN
    (source,) = [each for each in a.discovery() if isinstance(each, PluginSdConfig)]
    assert source.options["api_token"] == HIDDEN


def test_a_changed_secret_changes_the_fingerprint() -> None:
    """Digests notice what the shown form hides, in models, in options and in URLs."""
    text = EVERYWHERE
    base = fingerprint(load_text(text, "p.yml").scrape_configs)
    assert base == fingerprint(load_text(text, "p.yml").scrape_configs)
    seen = {base}
    count = text.count(HIDDEN)
    for index in range(count):
        parts = text.split(HIDDEN)
        changed = HIDDEN.join(parts[: index + 1]) + "changed" + HIDDEN.join(parts[index + 1 :])
        seen.add(fingerprint(load_text(changed, "p.yml").scrape_configs))
    assert len(seen) == count + 1


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_fingerprints_do_not_run_together(left: list[str], right: list[str]) -> None:
    """Two different lists of texts have different digests, wherever the borders lie."""
    assert (fingerprint(tuple(left)) == fingerprint(tuple(right))) == (left == right)


def test_an_error_about_a_secret_does_not_show_it() -> None:
    """A password of the wrong shape is refused without its value."""
    with pytest.raises(UserError) as refused:
        load_text(f"scrape_configs: [{{job_name: a, basic_auth: {{password: [{HIDDEN}]}}}}]", "p.yml")
    assert HIDDEN not in str(refused.value)
    with pytest.raises(UserError) as refused:
        load_text(f"scrape_configs: [{{job_name: a, proxy_url: 'ftp://u:{HIDDEN}@h:x'}}]", "p.yml")
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password_file", False),
        ("dbPassword", True),
        ("__meta_docker_container_label_db_password", True),
        ("__meta_consul_metadata_API_KEY", True),
        ("__meta_kubernetes_pod_annotation_auth_token", True),
        ("__meta_x_secret", True),
        ("__meta_x_access_key", True),
        ("__meta_x_credentials", True),
        ("apiToken", False),
        ("__meta_kubernetes_pod_name", False),
        ("__meta_gce_tag_monkey", False),
        ("__meta_kubernetes_secret_name", False),
        ("__meta_author", False),
        ("__meta_tokens_used", False),
        ("key", False),
        ("instance", False),
    ],
)
def test_names_that_look_like_secrets(name: str, secret: bool) -> None:
    """Names are judged by whole words, so that a monkey is not a key."""
    assert looks_secret(name) is secret


def test_urls_lose_their_password() -> None:
    """The password of a URL is masked as Prometheus masks it; other URLs stay as they are."""
    assert masked_url("http://u:p@h:1/x?y=z") == "http://u:xxxxx@h:1/x?y=z"
    assert masked_url("http://u@h/x@y") == "http://u@h/x@y"
    assert masked_url("http://h/") == "http://h/"


@pytest.mark.parametrize(
    "section",
    [
        "remote_write: [{{url: 'http://h/w', headers: {{X-Api-Key: {0}, X-Tenant: {1}}}}}]",
        "remote_read: [{{url: 'http://h/r', headers: {{X-Api-Key: {0}, X-Tenant: {1}}}}}]",
        "tracing: {{endpoint: 'h:4318', headers: {{X-Api-Key: {0}, X-Tenant: {1}}}}}",
    ],
)
def test_a_header_with_the_name_of_a_secret_is_in_no_text_of_a_peer(section: str) -> None:
    """What a peer says of a header whose name is that of a secret is masked; that of another name is not."""
    secret, tenant = "q7-not-to-be-told-twice", "tenant-to-be-told"
    load_text(section.format(secret, tenant), "p.yml")
    assert (
        redacted(f"400 Bad Request: X-Api-Key {secret} of {tenant}")
        == f"400 Bad Request: X-Api-Key <secret> of {tenant}"
    )
