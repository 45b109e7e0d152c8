"""Tables of labels: which field of a record becomes which label."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from trimon.discovery.asking.record import Record

# What Go writes where there is no address.
NO_ADDRESS = "<nil>"


def texts(record: Record, prefix: str, fields: Mapping[str, str]) -> dict[str, str]:
    """A label for each name of a table, with the string at its path (`image.name`)."""
    found = {}
    for name, path in fields.items():
        inner, field = _at(record, path)
        found[prefix + name] = inner.text(field)
    return found


def wholes(record: Record, prefix: str, fields: Mapping[str, str]) -> dict[str, str]:
    """A label for each name of a table, with the whole number at its path; 0 where there is none."""
    found = {}
    for name, path in fields.items():
        inner, field = _at(record, path)
        found[prefix + name] = str(inner.whole(field))
    return found


def flag_text(value: bool) -> str:  # it is all there is to it
    """`true` or `false`."""
    return "true" if value else "false"


def ip_text(text: str) -> str:
    """An address in its canonical form; `<nil>` for what is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return NO_ADDRESS


def network_text(text: str) -> str:
    """A network in its canonical form, with zeroes for the bits of the host; `<nil>` for what is none."""
    try:
        return str(ipaddress.ip_network(text, strict=False)) if "/" in text else NO_ADDRESS
    except ValueError:
        return NO_ADDRESS


def _at(record: Record, path: str) -> tuple[Record, str]:
    *outer, field = path.split(".")
    for name in outer:
        record = record.record(name)
    return record, field
