"""The verdict: a good image passes every check, what cannot be judged is skipped with its reason, a waiver is shown as one."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import model
from ansible_collections.proven.go_service.plugins.module_utils.contract.registry import Group
from violations import GOOD, in_container, result, verdicts, with_verdict

# What cannot be judged of the good image here, which is said and not passed.
GOOD_SKIPS = {"user-uid", "user-numeric", "dockerfile-hadolint", "dockerfile-checkov", "vulnerabilities"}


def test_good_image():
    """Everything passes without a waiver."""
    results = judge.evaluate(GOOD, samples.expected(), {})
    assert {item.id for item in results if item.verdict == "skip"} == GOOD_SKIPS
    assert {item.verdict for item in results if item.id not in GOOD_SKIPS} == {"pass"}
    assert judge.verdict(results) == "pass"
    assert judge.failures(results) == []
    assert all(item.reason for item in results if item.verdict == "skip")


def test_good_candidate():
    """A candidate has neither host port nor restart policy by design: both are skipped with the reason."""
    candidate = in_container(PortBindings={}, RestartPolicy={"Name": "no"})
    asked = samples.expected(candidate=True)
    assert with_verdict("skip", candidate, asked) == {*GOOD_SKIPS, "runtime-publish", "runtime-restart-policy"}
    assert with_verdict("fail", candidate, asked) == set()
    assert "by design" in result("runtime-publish", candidate, asked).reason


def test_image_alone():
    """Without a container, what needs one is skipped with that reason, never passed."""
    alone = replace(GOOD, container=None, process=None, memory=None)
    skipped = {item.id for item in judge.evaluate(alone, samples.expected(), {}) if "no container" in item.reason}
    assert skipped == {identifier for identifier in judge.CHECKS if identifier.startswith("runtime-")} | {"memory-use"}


def test_unreadable_layers():
    """What needs the layers is skipped with the reason, never passed."""
    gap = "zstd"
    blind = replace(GOOD, layers=(), base_files={}, gaps=(gap,))
    results = {item.id: item for item in judge.evaluate(blind, samples.expected(), {})}
    for identifier in ("files-secrets", "files-leftovers", "files-differences", "binary-single-copy", "image-overhead"):
        assert (results[identifier].verdict, results[identifier].reason) == ("skip", gap)
    assert judge.verdict(results.values()) == "pass"


def test_unknown_base():
    """A base that is gone is a warning, and the comparison with it is a skip."""
    gone = replace(GOOD, base=model.BaseFacts("alpine:3.24"), base_files={})
    found = verdicts(gone)
    assert (found["config-base"], found["files-differences"], found["image-overhead"]) == ("warn", "skip", "skip")


def test_waiver():
    """A waived failure shows as waived with both reasons; the verdict no longer fails, and other checks are
    untouched."""
    found = in_container(ReadonlyRootfs=False)
    waivers = {"runtime-read-only": "It writes its index beside its binary.", "files-binary-writable": "The same."}
    results = judge.evaluate(found, samples.expected(), waivers)
    waived = next(item for item in results if item.id == "runtime-read-only")
    assert (waived.verdict, waived.waiver) == ("waived", "It writes its index beside its binary.")
    assert waived.reason
    assert judge.verdict(results) == "pass"


def test_waiver_does_not_make_a_pass_or_a_skip():
    """A waiver of a check that is met, or that could not be judged, changes nothing."""
    waivers = {"runtime-read-only": "x", "vulnerabilities": "y"}
    assert verdicts(GOOD, waivers=waivers) == verdicts(GOOD)


@pytest.mark.parametrize(
    ("waivers", "message"),
    [
        ({"runtime-readonly": "x"}, r"did you mean runtime-read-only\?"),
        ({"zzz": "x"}, r"'zzz', which does not exist\."),
        ({"image-size": " "}, "image-size gives no reason"),
        ({"image-size": None}, "image-size gives no reason"),
    ],
)
def test_bad_waiver(waivers, message):
    """A waiver for nothing, or without a reason, is an error."""
    with pytest.raises(judge.WaiverError, match=message):
        judge.evaluate(GOOD, samples.expected(), waivers)


def test_one_group_alone():
    """The running service is held to the checks of its group."""
    found = judge.evaluate(GOOD, samples.expected(), {}, "runtime")
    assert {item.group for item in found} == {"runtime"}
    assert [item.id for item in found] == [check.id for check in judge.CHECKS.values() if check.group == "runtime"]


def test_the_checks_of_every_file_are_judged():
    """A file of checks has a line in `_GROUPS` of judge.py."""
    for path in sorted(Path(judge.__file__).parent.joinpath("checks").glob("*.py")):
        module = importlib.import_module(f"{judge.__package__}.checks.{path.stem}")
        for check in getattr(module, "GROUP", Group("none")).checks:
            assert check.id in judge.CHECKS, f"{check.id} is never judged: enter {path.stem}.GROUP in _GROUPS of contract/judge.py"


def test_the_checks_of_every_file_are_held_to_have_a_violation():
    """The test file of a file of checks insists that each of them is made to fail. The linters' and the scanners' checks have tests of another form."""
    for path in sorted(Path(judge.__file__).parent.joinpath("checks").glob("*.py")):
        test = Path(__file__).with_name("checks") / f"test_{path.stem}.py"
        if path.stem in ("__init__", "belongings", "dockerfile", "supply_chain") or not test.exists():
            continue  # A test file that is missing: tests/unit/project/test_mirror.py.
        wanted = f"assert_all_provoked({path.stem}.GROUP, VIOLATIONS"
        assert wanted in test.read_text(encoding="utf-8"), f"checks/{test.name} lacks a test with {wanted}), as its neighbours have"
