"""Secrets in texts for people: what is known is masked in every spelling, and nothing else is."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.everydaywords import EVERYDAY_WORDS
from trimon.redaction import (
    MASK,
    REDACTOR,
    Redactor,
    looks_secret,
    masked_url,
    password_of,
    redacted_field,
    shown_url,
)

# All that is printable, which no blank begins or ends.
_PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
secrets = st.text(_PRINTABLE, min_size=6, max_size=40).filter(
    lambda text: text.strip() == text and text.lower() not in EVERYDAY_WORDS
)


@given(secrets, st.sampled_from(["a", " ", "'", '"', "/", "="]), st.text(max_size=20))
def test_no_spelling_of_a_secret_is_left(secret: str, between: str, around: str) -> None:
    """Plain, escaped, percent-encoded and base64 forms are all masked, wherever they stand."""
    redactor = Redactor()
    redactor.add(secret)
    data = secret.encode()
    for form in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(data).decode().rstrip("="),
        data.decode("latin-1"),
    ):
        if len(form) >= 6:
            shown = redactor.redacted(f"{between}{form}{between}")
            assert form not in shown or form in f"{between}{MASK}{between}"
            assert MASK in shown
    other = Redactor()
    assert other.redacted(around) == around


@given(st.lists(secrets, max_size=30), st.text(alphabet="xyz :", max_size=200))
def test_other_texts_are_left_alone(known: list[str], text: str) -> None:
    """A text without a secret in it is the same afterwards."""
    redactor = Redactor()
    for secret in known:
        redactor.add(f"Q{secret}")
    assert redactor.redacted(text) == text


def test_a_secret_that_is_cut_short_is_masked() -> None:
    """The beginning of a secret at the end of a text, or before what ends a quotation, is masked; a longer word is not."""
    redactor = Redactor()
    redactor.add("correct-horse-battery")
    assert redactor.redacted("malformed header 'Bearer correct-hor'") == f"malformed header 'Bearer {MASK}'"
    assert redactor.redacted("Bearer correct-h") == f"Bearer {MASK}"
    assert redactor.redacted("corrections are correctness") == "corrections are correctness"


def test_what_is_short_is_not_looked_for() -> None:
    """A secret of five characters does not blank words."""
    redactor = Redactor()
    redactor.add("admin")
    assert redactor.redacted("the admin page") == "the admin page"


def test_old_secrets_are_pushed_out() -> None:
    """The memory is bounded: the newest are kept, and so are those that are told again."""
    redactor = Redactor(kept=10)
    for number in range(100):
        redactor.add(f"secret-number-{number:03d}x")
        redactor.add("always-told-again")
    assert redactor.redacted("always-told-again secret-number-099x") == f"{MASK} {MASK}"
    assert redactor.redacted("secret-number-000x.") == "secret-number-000x."


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p4ssw@h:1/x", "http://u:xxxxx@h:1/x"),
        ("http://u:p@ss:w@h:1/x?y=1", "http://u:xxxxx@h:1/x?y=1"),
        ("u:p4ss@h:1", "u:xxxxx@h:1"),
        ("http://u:p4ss@[::1", "http://u:xxxxx@[::1"),
        ("http://u:p4/ss@h", "http://u:xxxxx@h"),
        ("http://u:p4 ss?@h", "http://u:xxxxx@h"),
        ("ftp://u:pw@h", "ftp://u:xxxxx@h"),
        ("http://u@h/", "http://u@h/"),
        ("http://h/?a=b@c", "http://h/?a=b@c"),
        ('Get "http://u:pw@h/m": EOF', 'Get "http://u:xxxxx@h/m": EOF'),
        ("http://h/m?token=abc&module=x", f"http://h/m?token={MASK}&module=x"),
        ("http://h/m?a=1&api_key=abc", f"http://h/m?a=1&api_key={MASK}"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    """Passwords and parameters that look like secrets are masked, also in what is no good URL."""
    assert shown_url(url) == shown


def test_a_masked_url_has_no_password() -> None:
    """The password of a URL is found where it is masked."""
    assert password_of("http://u:p4ss@h") == "p4ss"
    assert password_of("http://h/") == ""
    assert masked_url("http://h/") == "http://h/"


def test_a_name_stays_readable_where_a_secret_begins_with_it() -> None:
    """What is known as a name is no piece of a secret; the secret is masked, and so is more of it than the name."""
    redactor = Redactor()
    redactor.add("panelsite-b7f2c1d09a")
    redactor.add_name("panelsite")
    assert redactor.redacted("token panelsite has no roles") == "token panelsite has no roles"
    assert redactor.redacted("sent panelsite-b7f2c1d09a.") == f"sent {MASK}."
    assert redactor.redacted("sent panelsite-b7f2…") == f"sent {MASK}…"
    redactor.add("panelsite")
    assert redactor.redacted("sent panelsite.") == f"sent {MASK}."


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("__meta_docker_container_label_db_password", True),
        ("__meta_consul_metadata_token", True),
        ("__meta_elasticache_cache_cluster_auth_token_enabled", False),
        ("__meta_elasticache_cache_cluster_auth_token_last_modified", False),
        ("__meta_rds_instance_tde_credential_arn", False),
        ("__meta_kubernetes_pod_annotationpresent_vault_token", False),
        ("__meta_kubernetes_pod_annotation_vault_token", True),
    ],
)
def test_what_is_only_about_a_secret_is_shown(name: str, secret: bool) -> None:
    """Whether there is one, since when, and what it is called, is none."""
    assert looks_secret(name) is secret


@pytest.mark.parametrize(
    "text",
    [
        "consul answers 500",
        "the catalog of consul: timeout",
        "field consul_sd_config not found",
        'unknown mechanism "consul"',
        '{instance="consul:9090", job="consul"}',
        "Get http://consul.example.com:8500/v1: refused",
        "http://consul:8500/consul",
        "consul",
        "the token of consul is refused",
        "token_url consuls",
    ],
)
def test_an_everyday_word_is_left_in_sentences_and_names(text: str) -> None:
    """A secret that is a word of messages does not blank that word everywhere; one that begins with it does not, either."""
    redactor = Redactor()
    redactor.add("consul")
    redactor.add("consul-7f3a9c")
    assert redactor.redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "authorization: {}",
        "'Proxy-Authorization': 'Basic {}'",
        "http://u:{}@host/",
        "admin:{}",
        "/metrics?token={}&a=b",
        '{{"password": "{}"}}',
        '{{\\"password\\": \\"{}\\"}}',
        "('client_secret', '{}')",
        "X-Auth-Token:{}",
        "password={}",
        'invalid token "{}"',
        "the password is {}",
        "cannot unmarshal !!str `{}` into config.plain",
        "api_key => {}",
    ],
)
def test_an_everyday_word_is_masked_where_secrets_stand(text: str) -> None:
    """After the name of a secret, after the word for one, in URLs and in quotations of values it is masked like any other."""
    redactor = Redactor()
    redactor.add("consul")
    assert redactor.redacted(text.format("consul")) == text.format(MASK)


def test_what_is_no_everyday_word_is_masked_in_sentences() -> None:
    """Letters alone make no word: a random secret is masked wherever it stands, also joined to others."""
    redactor = Redactor()
    redactor.add("kqzvxwpt")
    assert redactor.redacted("source kqzvxwpt_a answers") == f"source {MASK}_a answers"


def test_a_field_with_the_name_of_a_secret_is_masked() -> None:
    """A field of a log that is called a password shows no everyday word; under another name it does."""
    REDACTOR.add("consul")
    assert redacted_field("db_password", "consul") == MASK
    assert redacted_field("discovery", "consul") == "consul"
