"""Secrets kept out of texts for people: one memory of what is secret, and the masking of URLs and of names.

Typed secrets cannot be printed, but a peer may send our credentials back in an answer, a library may quote a URL in an error,
and a plug-in may log what it was given. Every text of the kind "what went wrong" passes `redacted` before it leaves: errors
of scrapes and requests, log lines, crash reports, error answers, messages about a configuration.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from trimon.everydaywords import EVERYDAY_WORDS

MASK: Final = "<secret>"
# As Prometheus masks the password inside a URL.
URL_MASK: Final = "xxxxx"
# Shorter secrets are not looked for in texts: they would blank words that have nothing to do with them.
SECRET_CHARACTERS_MIN: Final = 6
# Secrets beyond twice as many push out the oldest: those of files change, and a reload brings all others again.
SECRETS_KEPT: Final = 20_000

_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:pass|passwd|password|passphrase|pwd|secret|token|credentials?|apikey|auth|bearer|cookie)"
    r"(?:$|[_\-.])|(?:api|access|private|secret|account|shared|signing|encryption)[_\-.]?keys?(?:$|[_\-.])"
    r"|password|connection_?string",
    re.IGNORECASE,
)
# What such a name may end with when the value is about the secret and not the secret.
_ABOUT = re.compile(
    r"[_\-.](?:names?|files?|paths?|types?|urls?|arns?|enabled|status|modified)$|^__meta_\w+?(?:label|annotation)present_",
    re.IGNORECASE,
)
# The user and password of a URL, or of what was meant to be one: all between the scheme and the last @ of the authority.
_USERINFO = re.compile(r"(?P<before>^|//)(?P<user>[^/?#:@\s]*):(?P<password>[^/?#\s]*)@")
# The same where the password has characters that no URL takes. What looks like a port and a path is no password.
_BROKEN_USERINFO = re.compile(
    r"(?P<before>^[a-zA-Z][a-zA-Z0-9+.-]*://|^)(?P<user>[^/:@?#]*):(?!//|[0-9]{1,5}[/?#])(?P<password>.*)@",
    re.DOTALL,
)
# So much of a text before a word is looked at to tell whether a secret stands there.
_LEAD_CHARACTERS: Final = 100
# What leads to a secret: a name and a sign that its value follows (`"X-Auth-Token": "`, `?token=`, `('password', '`) ...
_NAMED = re.compile(r"(?P<name>[\w.%-]+)[\s\\\"'`)\]]*(?:[:=,]|=>)[\s\\\"'`<(\[{]*$")
# ... a word of who speaks of one (`Bearer `, `invalid token "`, `the password is `) ...
_SPOKEN_OF = re.compile(
    r"\b(?:bearer|basic|digest|authorization|token|passw(?:or)?d|passphrase|secret|credentials?|key)"
    r"(?:\s+(?:is|was))?[\s\\\"'<(\[{]+$",
    re.IGNORECASE,
)
# ... the user before a colon, or the sign with which YAML's errors quote a value.
_COUPLED = re.compile(r"[\w.@%-]:$|`$")
_LEADING_NAMES: Final = frozenset(("authorization", "proxy-authorization", "basic", "digest", "key"))
# The same as a part of the host, where it does nothing but tell the password.
_ESCAPED_USERINFO = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*:[^/?#]*%40")
_PARAMETER = re.compile(r"(?P<before>[?&;])(?P<name>[^?=&;#\s]+)=(?P<value>[^&;#\s]+)")


def looks_secret(name: str) -> bool:
    """Whether a value of this name is likely to be a secret (`__meta_docker_container_label_db_password`)."""
    # A long one is no name that comes again, and would only fill memory.
    return _known(name) if len(name) <= _KNOWN_CHARACTERS_MAX else _is_secret(name)


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None and _ABOUT.search(name) is None


_KNOWN_CHARACTERS_MAX: Final = 128
_known = lru_cache(maxsize=4096)(_is_secret)


def masked_url(url: str) -> str:
    """The URL with a password in it replaced by `xxxxx`, also where it is no good URL."""
    if "%40" in url:
        url = _ESCAPED_USERINFO.sub(lambda found: found[0].replace("%40", "@"), url)
    if "@" not in url:
        return url
    masked = _USERINFO.sub(rf"\g<before>\g<user>:{URL_MASK}@", url)
    if masked == url:
        masked = _BROKEN_USERINFO.sub(rf"\g<before>\g<user>:{URL_MASK}@", url)
    return masked


def shown_url(url: str) -> str:
    """A URL for people: without a password, and without the values of parameters whose name looks like a secret."""
    url = masked_url(url)
    if "=" not in url:
        return url
    return _PARAMETER.sub(
        lambda found: (
            f"{found['before']}{found['name']}={MASK}" if looks_secret(unquote(found["name"])) else found[0]
        ),
        url,
    )


def password_of(url: str) -> str:
    """The password inside a URL, or inside what was meant to be one; empty for none."""
    found = (_USERINFO.search(url) or _BROKEN_USERINFO.match(url)) if "@" in url else None
    return found["password"] if found is not None else ""


def secrets_in_url(url: str) -> Iterator[str]:
    """The password inside a URL and the values of its parameters whose name looks like a secret, each also decoded."""
    if password := password_of(url):
        yield password
        yield unquote(password)
    for found in _PARAMETER.finditer(url):
        if looks_secret(unquote(found["name"])):
            yield found["value"]
            yield unquote(found["value"])


class Redactor:
    """A memory of secrets, each in the forms in which a text may have it. May be used in any thread."""

    def __init__(self, kept: int = SECRETS_KEPT) -> None:
        self._kept = kept
        self._known: set[str] = set()
        # all forms by how they begin; the older half is dropped when the newer one is full
        self._forms: dict[str, tuple[str, ...]] = {}
        self._older: dict[str, tuple[str, ...]] = {}
        self._names: set[str] = set()

    def add_name(self, name: str) -> None:
        """A name that people may read, also where a secret begins with it; the secret itself is masked all the same."""
        if len(self._names) >= self._kept:
            self._names = set()
        self._names.add(name)

    def add(self, secret: str) -> None:
        """From now on this is masked; what is too short is not."""
        if secret in self._known or len(secret) < SECRET_CHARACTERS_MIN:
            return
        if len(self._known) >= self._kept:
            self._known, self._older, self._forms = set(), self._forms, {}
        for form in _forms(secret):
            begin = form[:SECRET_CHARACTERS_MIN]
            others = self._forms.get(begin, ())
            if form not in others:
                self._forms[begin] = (*others, form)
        self._known.add(secret)

    def forget(self) -> None:
        """Nothing is secret any more."""
        self._known, self._forms, self._older, self._names = set(), {}, {}, set()

    def add_url(self, url: str) -> None:
        """The password inside a URL, and the values of its parameters whose name looks like a secret."""
        for secret in secrets_in_url(url):
            self.add(secret)

    def redacted(self, text: str) -> str:
        """The text with every known secret replaced by `<secret>`, also one that was cut short.

        A secret that is an everyday word is replaced only where secrets stand: that word tells nobody that it is one.
        """
        size = SECRET_CHARACTERS_MIN
        if (not self._forms and not self._older) or len(text) < size:
            return text
        forms, older = self._forms, self._older
        places = [
            place
            for place in range(len(text) - size + 1)
            if (begin := text[place : place + size]) in forms or begin in older
        ]
        if not places:
            return text
        out: list[str] = []
        end = 0
        for place in places:
            if place < end:
                continue
            begin = text[place : place + size]
            candidates = (*forms.get(begin, ()), *older.get(begin, ()))
            length = max(_agreement(text, place, form) for form in candidates)
            found = text[place : place + length]
            if not length or (found in self._names and found not in candidates):
                continue
            if found.strip().lower() in EVERYDAY_WORDS and not _is_place_of_secret(
                text, place, place + length
            ):
                continue
            out += (text[end:place], MASK)
            end = place + length
        out.append(text[end:])
        return "".join(out)


def spellings(secrets: Iterable[str]) -> Iterator[str]:
    """All forms in which a text may have one of these secrets."""
    for secret in secrets:
        yield from _forms(secret)


def _forms(secret: str) -> Iterator[str]:
    """The spellings of a secret: plain, escaped, encoded; and the lines of one that has several."""
    lines = [line.strip() for line in secret.splitlines()]
    for text in {secret, secret.strip(), *(lines if len(lines) > 1 else ())}:
        data = text.encode("utf-8", "surrogatepass")
        spelled = {
            text,
            quote(data, safe=""),
            quote_plus(data),
            quote(data, safe="/:@!$&'()*+,;=~"),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
            repr(data)[2:-1],
            html.escape(text),
            data.decode("latin-1"),
            base64.b64encode(data).decode().rstrip("="),
            base64.urlsafe_b64encode(data).decode().rstrip("="),
        }
        yield from (form for form in spelled if len(form) >= SECRET_CHARACTERS_MIN)


def _agreement(text: str, place: int, form: str) -> int:
    """How much of the text from a place on is this form: all of it, or its beginning when the text is cut there."""
    if text.startswith(form, place):
        return len(form)
    length, most = SECRET_CHARACTERS_MIN, min(len(form), len(text) - place)
    while length < most and text[place + length] == form[length]:
        length += 1
    after = text[place + length : place + length + 1]
    return 0 if after.isalnum() else length


def _is_place_of_secret(text: str, start: int, end: int) -> bool:
    """Whether an everyday word stands where secrets stand, and not in a sentence or as a part of a name."""
    lead = text[max(0, start - _LEAD_CHARACTERS) : start]
    after = text[end : end + 2]
    joined = (
        lead[-1:].isalnum() or lead[-1:] in ("_", "-", ".") or after[:1].isalnum() or after[:1] in ("_", "-")
    )
    if joined or (after[:1] == "." and after[1:].isalnum()):
        return False
    if _COUPLED.search(lead) or _SPOKEN_OF.search(lead):
        return True
    named = _NAMED.search(lead)
    return named is not None and (looks_secret(named["name"]) or named["name"].lower() in _LEADING_NAMES)


REDACTOR: Final = Redactor()
"""What the process knows to be secret: whoever reads a secret tells it here."""


def redacted(text: str) -> str:
    """A text for people without the secrets that the process knows."""
    return REDACTOR.redacted(text)


def redacted_field(name: str, value: str) -> str:
    """The same for the value of a named field: under a name of secrets an everyday word is masked, too."""
    if not looks_secret(name):
        return REDACTOR.redacted(value)
    return REDACTOR.redacted(f"{name}={value}").removeprefix(f"{name}=")
