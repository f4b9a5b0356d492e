"""The verdict for a CI system says what the report says: what failed fails, what was waived or skipped is skipped with the reason."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import FAIL, SKIP, WAIVED, WARN
from ansible_collections.proven.go_service.plugins.plugin_utils.report import junit
from reports import RAW, assemble


def parsed(document: dict[str, Any]) -> ET.Element:
    """Return the XML of a report, read again."""
    return ET.fromstring(junit.render(document).encode())


@pytest.mark.parametrize("name", RAW)
def test_the_counts_are_those_of_the_report(name: str) -> None:
    document = assemble(RAW[name])
    root = parsed(document)
    failed = bool(document["failure"])
    stages = len(document["timeline"]) + (1 if failed or not document["timeline"] else 0)
    assert int(root.get("tests", "")) == len(document["checks"]) + stages
    assert int(root.get("failures", "")) == document["counts"][FAIL] + failed
    assert int(root.get("skipped", "")) == document["counts"][SKIP] + document["counts"][WAIVED]
    assert len(root.findall(".//system-out")) == document["counts"][WARN]
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))


def test_a_run_that_did_not_fail_has_no_failure_and_one_that_did_has() -> None:
    for name, raw in RAW.items():
        document = assemble(raw)
        assert (int(parsed(document).get("failures", "")) > 0) == (document["verdict"] == FAIL), name


def test_a_failure_says_what_was_measured_and_what_to_do() -> None:
    document = assemble(RAW["contract broken"])
    check = next(check for check in document["checks"] if check["verdict"] == FAIL)
    case = next(case for case in parsed(document).iter("testcase") if case.get("name", "").endswith(f"({check['id']})"))
    failure = case.find("failure")
    assert failure is not None
    assert check["measured"] in failure.get("message", "") and check["remedy"] in (failure.text or "")
    assert case.get("classname") == f"vm1.cat-server.{check['group']}"


def test_a_failed_run_has_the_last_lines_and_what_still_runs() -> None:
    failure = parsed(assemble(RAW["build failed"])).find(".//failure")
    assert failure is not None
    assert failure.get("message") == "the build failed at: RUN go build"
    assert [
        text in (failure.text or "") for text in ("main.go:3: undefined", "The running container was not touched.", "Correct the source.")
    ] == [True] * 3


def test_a_waiver_is_skipped_with_its_reason() -> None:
    skipped = parsed(assemble(RAW["waived"])).findall(".//skipped")
    assert any("waived: It writes its index." in one.get("message", "") for one in skipped)


def test_foreign_text_is_no_markup_and_no_control_character() -> None:
    document = assemble(RAW["contract broken"])
    for check in document["checks"]:
        check["measured"] = check["reason"] = check["waiver"] = "]]><x a='&\x00\x1b[31m\ufffe\ud800\">"
    root = parsed(document)
    assert {element.tag for element in root.iter()} <= {"testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"}


def test_stages_have_their_times() -> None:
    suite = parsed(assemble(RAW["good"])).find("testsuite[@name='Run']")
    assert suite is not None
    assert [(case.get("name"), case.get("time")) for case in suite] == [("stage the source", "1.200"), ("build", "21.000")]
