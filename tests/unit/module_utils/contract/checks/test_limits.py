"""Limits of processes, memory and processor time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import limits
from ansible_collections.proven.go_service.plugins.module_utils.contract.expected import Expected
from violations import Violation, assert_all_provoked, assert_caught, in_container

VIOLATIONS: dict[str, Violation] = {
    "no process limit": (lambda: in_container(PidsLimit=None), {}, {"runtime-pids-limit"}, "no limit"),
    "other memory limit": (lambda: in_container(Memory=1 << 30), {}, {"runtime-memory-limit"}, "another limit"),
    "no processor limit": (lambda: in_container(NanoCpus=0), {}, {"runtime-cpu-limit"}, "no limit"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


@pytest.mark.parametrize(
    ("variable", "check", "entry"),
    [
        ("memory", "runtime-memory-limit", "Memory"),
        ("cpus", "runtime-cpu-limit", "NanoCpus"),
        ("pids_limit", "runtime-pids-limit", "PidsLimit"),
    ],
)
def test_a_limit_that_the_engine_cannot_hold(variable: str, check: str, entry: str) -> None:
    evidence = in_container(**{entry: 0})
    evidence = replace(evidence, engine=replace(evidence.engine, limits_not_held=(variable,)))
    (outcome,) = [one.function(evidence, Expected("cat-server", 8080, ())) for one in limits.GROUP.checks if one.id == check]
    assert (outcome.verdict, outcome.reason.startswith("not applicable: this Engine has no ")) == ("skip", True)


def test_every_check_is_provoked() -> None:
    assert_all_provoked(limits.GROUP, VIOLATIONS)
