"""The verdict of a run for a CI system: JUnit's XML, in the form that the test reporters of GitLab, Jenkins, GitHub and Azure read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from ...module_utils.common.text import spelled
from ...module_utils.contract.names import FAIL, GROUPS, SKIP, WAIVED, WARN


def render(document: Mapping[str, Any]) -> str:
    """Return the XML of a report: a suite for the stages of the run, and one for each group of the contract's checks.

    A failed check and a failed stage are failures. A waived check and one that could not be judged are skipped, with the reason. JUnit has no warnings, so
    a check with a warning passes, and has the warning in its output.
    """
    name = f"{document['service']} on {document['host']}"
    root = ET.Element("testsuites", name=_text(name))
    _run(root, document)
    for group, title in GROUPS.items():
        checks = [check for check in document["checks"] if check["group"] == group]
        if checks:
            suite = ET.SubElement(root, "testsuite", name=_text(title), timestamp=_time(document["checked_at"]))
            for check in checks:
                _check(suite, document, check)
    for suite in root:
        _count(suite)
    for kind in ("tests", "failures", "errors", "skipped"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _run(root: ET.Element, document: Mapping[str, Any]) -> None:
    """The stages that succeeded, and the one that failed."""
    failure = document["failure"]
    suite = ET.SubElement(root, "testsuite", name="Run", timestamp=_time(document["generated_at"]))
    for stage in document["timeline"]:
        _case(suite, document, "run", stage["stage"], stage["seconds"])
    if failure:
        case = _case(suite, document, "run", f"failed at {failure['stage']}" if failure["stage"] else "failed")
        told = [*failure["evidence"], f"What still runs: {failure['standing']}", f"What to do: {failure['remedy']}"]
        ET.SubElement(case, "failure", message=_text(failure["message"]), type="failure").text = _text("\n".join(told))
    elif not document["timeline"]:
        _case(suite, document, "run", "finished")


def _check(suite: ET.Element, document: Mapping[str, Any], check: Mapping[str, Any]) -> None:
    case = _case(suite, document, check["group"], f"{check['title']} ({check['id']})")
    measured = check["measured"] or "nothing measured"
    wanted = f" instead of {check['limit']}" if check["limit"] else ""
    reason = f": {check['reason']}" if check["reason"] else ""
    message = f"{measured}{wanted}{reason}"
    if check["verdict"] == FAIL:
        told = [f"What to do: {check['remedy']}"] if check["remedy"] else []
        rules = [f"Rules: {', '.join(check['rules'])}"] if check["rules"] else []
        ET.SubElement(case, "failure", message=_text(message), type=check["severity"]).text = _text("\n".join([*told, *rules]))
    elif check["verdict"] == WAIVED:
        ET.SubElement(case, "skipped", message=_text(f"waived: {check['waiver']} ({message})"))
    elif check["verdict"] == SKIP:
        ET.SubElement(case, "skipped", message=_text(check["reason"] or "it could not be judged"))
    elif check["verdict"] == WARN:
        ET.SubElement(case, "system-out").text = _text(f"Warning: {message}")


def _case(suite: ET.Element, document: Mapping[str, Any], part: str, name: str, seconds: float = 0.0) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=_text(f"{document['host']}.{document['service']}.{part}"), name=_text(name), time=f"{seconds:.3f}"
    )


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _time(moment: str | None) -> str:
    """A time in the form of JUnit's schema, without a zone."""
    return (moment or "").removesuffix("Z")


def _text(text: str) -> str:
    """Return a text that is valid in XML, which does not allow control characters."""
    return spelled(text)
