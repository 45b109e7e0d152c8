"""Results of unit tests as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from trimon.rules.testing.run import FileOutcome


def junit_xml(outcomes: Sequence[FileOutcome], moment: datetime) -> str:
    """One suite a file, one case a test, one failure for each thing that is wrong."""
    root = ET.Element("testsuites")
    for outcome in outcomes:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=str(outcome.path),
            tests=str(len(outcome.tests)),
            failures=str(sum(len(test.failures) for test in outcome.tests)),
            errors=str(int(bool(outcome.error))),
            skipped="0",
            timestamp=moment.strftime("%Y-%m-%dT%H:%M:%S"),
        )
        for test in outcome.tests:
            case = ET.SubElement(suite, "testcase", name=test.name)
            for failure in test.failures:
                ET.SubElement(case, "failure").text = failure
        if outcome.error:
            ET.SubElement(suite, "error").text = outcome.error
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)
