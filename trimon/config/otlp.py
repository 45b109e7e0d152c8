"""The section `otlp`: how OTLP metrics become series."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.kinds import Boolean, Listed, Text
from trimon.config.model import Model, setting
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

ESCAPED: Final = ("UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes")
UNESCAPED: Final = ("NoUTF8EscapingWithSuffixes", "NoTranslation")


def _strategy(text: str) -> str | None:
    if text in ("", *ESCAPED, *UNESCAPED):
        return None
    return f"unsupported OTLP translation strategy {go_quote(text)}"


@dataclass(frozen=True, kw_only=True)
class OtlpConfig(Model):
    """Everything under `otlp`; attributes are without the blanks around them."""

    promote_all_resource_attributes: bool = setting(Boolean(), default=False)
    promote_resource_attributes: tuple[str, ...] = setting(Listed(Text()), ())
    ignore_resource_attributes: tuple[str, ...] = setting(Listed(Text()), ())
    translation_strategy: str = setting(Text(_strategy), ESCAPED[0])
    keep_identifying_resource_attributes: bool = setting(Boolean(), default=False)
    convert_histograms_to_nhcb: bool = setting(Boolean(), default=False)
    promote_scope_metadata: bool = setting(Boolean(), default=False)
    label_name_underscore_sanitization: bool = setting(Boolean(), default=True)
    label_name_preserve_multiple_underscores: bool = setting(Boolean(), default=True)

    yaml_type: ClassVar[str] = "config.plain"

    def check(self) -> None:
        """Attributes are named once, and not both one by one and all together."""
        if self.promote_all_resource_attributes and self.promote_resource_attributes:
            raise self.refuse(
                "promote_resource_attributes",
                "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured "
                "simultaneously",
            )
        if self.ignore_resource_attributes and not self.promote_all_resource_attributes:
            raise self.refuse(
                "ignore_resource_attributes",
                "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
            )
        for field, verb in (
            ("promote_resource_attributes", "promoted"),
            ("ignore_resource_attributes", "ignored"),
        ):
            self._trim(field, verb)

    def _trim(self, field: str, verb: str) -> None:
        trimmed: list[str] = []
        errors: list[str] = []
        for attribute in getattr(self, field):
            name = attribute.strip()
            if not name:
                errors.append(f"empty {verb} OTel resource attribute")
            elif name in trimmed:
                errors.append(f"duplicated {verb} OTel resource attribute {go_quote(name)}")
            trimmed.append(name)
        if errors:
            raise self.refuse(field, f"invalid '{field}': " + "\n".join(errors))
        object.__setattr__(self, field, tuple(trimmed))

    def check_scheme(self, *, legacy: bool) -> None:
        """Strategies that keep names as they are need the UTF-8 validation scheme. Raises UserError."""
        if legacy and self.translation_strategy in UNESCAPED:
            raise self.refuse(
                "translation_strategy",
                f"OTLP translation strategy {go_quote(self.translation_strategy)} is not allowed when UTF8 is disabled",
            )
