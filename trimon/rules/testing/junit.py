"""Results of unit tests as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from trimon.rules.testing.run import FileOutcome

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(outcomes: Sequence[FileOutcome], moment: datetime) -> str:
    """One suite a file, one case a test, one failure for each thing that is wrong; colours are left out."""
    root = ET.Element("testsuites")
    for outcome in outcomes:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_text(str(outcome.path)),
            tests=str(len(outcome.tests)),
            failures=str(sum(len(test.failures) for test in outcome.tests)),
            errors=str(int(bool(outcome.error))),
            skipped="0",
            timestamp=moment.strftime("%Y-%m-%dT%H:%M:%S"),
        )
        for test in outcome.tests:
            case = ET.SubElement(suite, "testcase", name=_text(test.name))
            for failure in test.failures:
                ET.SubElement(case, "failure").text = _text(failure)
        if outcome.error:
            ET.SubElement(suite, "error").text = _text(outcome.error)
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _text(text: str) -> str:
    """The text as XML can have it: U+FFFD stands for every character that it cannot."""
    return _NOT_XML.sub("\ufffd", _COLOUR.sub("", text))
