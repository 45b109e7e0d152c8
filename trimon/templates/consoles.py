"""Console templates: pages with templates within, escaped by context, and libraries of templates."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from trimon.gotext.strings import go_quote
from trimon.gotext.values import STRING_MAP, STRING_SLICE, Slice, Struct, Table, Value
from trimon.records import dataclass
from trimon.templates.errors import TemplateError
from trimon.templates.execution import Execution
from trimon.templates.functions.function import Calling, QueryFunction
from trimon.templates.functions.table import CONSOLE_FUNCTIONS
from trimon.templates.html.errors import HtmlError
from trimon.templates.html.escapers import FUNCTIONS as ESCAPERS
from trimon.templates.html.escaping import Bodies, Escaper
from trimon.templates.nodes import TemplateSource, is_empty
from trimon.templates.output import readable
from trimon.templates.parser import parse
from trimon.templates.types import CONSOLE_DATA, URL_VALUES

PRELUDE: Final = "{{$rawParams := .RawParams }}{{$params := .Params}}{{$path := .Path}}{{$externalLabels := .ExternalLabels}}"
_FUNCTIONS: Final = CONSOLE_FUNCTIONS | ESCAPERS
# What tells a browser's and a server's sniffing that a text is a page, at its begin.
_PAGE: Final = re.compile(
    r"[\t\n\f\r ]*<(?:(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P)[ >]|!--[ >])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ConsoleData:
    """What a console template sees: its path below the consoles, the parameters of the request, and the server."""

    path: str
    parameters: Mapping[str, Sequence[str]]
    external_labels: Mapping[str, str]
    external_url: str

    def as_value(self) -> Value:
        """The dot of the template."""
        raw = {name: Slice(STRING_SLICE, list(values)) for name, values in self.parameters.items()}
        first = {name: values[0] for name, values in self.parameters.items() if values}
        fields = (
            Table(URL_VALUES, raw),
            Table(STRING_MAP, first),
            self.path,
            Table(STRING_MAP, self.external_labels),
        )
        return Struct(CONSOLE_DATA, fields)


class ConsoleTemplate:
    """A console template with its libraries, parsed and escaped; any thread may render it."""

    def __init__(self, path: str, text: str, libraries: Sequence[tuple[str, str]] = ()) -> None:
        """Parses the text, and the libraries by file name and text. Raises TemplateError."""
        self._name = f"__console_/{path}"
        self._bodies: Bodies = {}
        try:
            self._add(TemplateSource(self._name, PRELUDE + text))
        except TemplateError as error:
            raise self._refused("parsing template", error) from None
        try:
            for name, library in libraries:
                self._add(TemplateSource(name, library))
        except TemplateError as error:
            raise self._refused("parsing template files for", error) from None
        self._escaper = Escaper(self._bodies)
        self._escaping = threading.Lock()

    def _refused(self, what: str, error: TemplateError) -> TemplateError:
        return TemplateError(f"error {what} {self._name}: {error.message}", error.position)

    def _add(self, source: TemplateSource) -> None:
        """The templates of a text; a later one of a name counts, unless it is empty."""
        for name, body in parse(source, CONSOLE_FUNCTIONS).items():
            if name not in self._bodies or not is_empty(body):
                self._bodies[name] = (body, source)

    def _escaped(self, name: str) -> Bodies:
        """The safe templates, among them that of the name. Raises TemplateError."""
        with self._escaping:
            if name not in self._escaper.made:
                try:
                    self._escaper.escape(name)
                except HtmlError as error:
                    raise TemplateError(str(error)) from None
            return self._escaper.made

    def render(self, data: ConsoleData, query: QueryFunction, time_ms: int) -> str:
        """The page. Raises TemplateError; blocks where `query` does."""
        calling = Calling(query, time_ms, data.external_url)

        def expand(name: str, value: Value, /) -> str:
            if name not in self._bodies:
                raise TemplateError(f"html/template: {go_quote(name)} is undefined")
            return Execution(self._escaped(name), _FUNCTIONS, calling).run(name, value)

        calling.expand = expand
        try:
            bodies = self._escaped(self._name)
            return readable(Execution(bodies, _FUNCTIONS, calling).run(self._name, data.as_value()))
        except TemplateError as error:
            raise self._refused("executing template", error) from None


def content_type(page: str) -> str:
    """The type of a rendered page, as it is guessed from its begin."""
    kind = "html" if _PAGE.match(page) else "xml" if page.lstrip("\t\n\f\r ").startswith("<?xml") else "plain"
    return f"text/{kind}; charset=utf-8"
