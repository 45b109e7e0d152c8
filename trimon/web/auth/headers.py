"""Headers that every answer has, so that a browser takes it for what it is, and shows it nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimon.web.auth.security import CurrentSecurity

_TYPE: Final = b"content-type"
_TYPE_OPTIONS: Final = b"x-content-type-options"
_POLICY: Final = b"content-security-policy"
_FRAME: Final = b"x-frame-options"
_NOSNIFF: Final = (_TYPE_OPTIONS, b"nosniff")
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'{style}; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)


def page_policy(style_nonce: str = "") -> str:
    """What a page of ours may do: nothing but with this server, and no script or style in its text.

    With a nonce, style sheets that carry it may be made by its scripts.
    """
    return _PAGE_POLICY.format(style=f" 'nonce-{style_nonce}'" if style_nonce else "")


_POLICY_OF_PAGES: Final = page_policy().encode()
_PAGE: Final = (
    (_FRAME, b"sameorigin"),
    (b"referrer-policy", b"same-origin"),
)
# Pages whose owner is not this program have scripts in their text, and those of other hosts, as Prometheus lets them.
OWNED_PAGE: Final = {
    "Content-Security-Policy": "object-src 'none'; base-uri 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "sameorigin",
    "Referrer-Policy": "same-origin",
}


class AnswerHeaders:
    """Adds what an answer has not said itself; what the web config file says goes before both."""

    def __init__(self, security: CurrentSecurity) -> None:
        self._security = security

    def complete(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """All headers of an answer. With every request: it takes half a microsecond."""
        out = list(headers)
        is_page = has_options = has_policy = has_frame = False
        for name, value in out:
            if name == _TYPE:
                is_page = value.startswith(b"text/html")
            elif name == _TYPE_OPTIONS:
                has_options = True
            elif name == _POLICY:
                has_policy = True
            elif name == _FRAME:
                has_frame = True
        if not has_options:
            out.append(_NOSNIFF)
        if is_page and not has_policy:
            out.append((_POLICY, _POLICY_OF_PAGES))
        if is_page and not has_frame:
            out += _PAGE
        configured = self._security.now.headers
        if configured:
            names = {name for name, _ in configured}
            out = [header for header in out if header[0] not in names]
            out += configured
        return out
