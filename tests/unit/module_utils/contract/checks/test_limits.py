"""Limits of processes, memory and processor time."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import limits
from violations import Violation, assert_all_provoked, assert_caught, in_container

VIOLATIONS: dict[str, Violation] = {
    "no process limit": (lambda: in_container(PidsLimit=None), {}, {"runtime-pids-limit"}, "no limit"),
    "other memory limit": (lambda: in_container(Memory=1 << 30), {}, {"runtime-memory-limit"}, "another limit"),
    "no processor limit": (lambda: in_container(NanoCpus=0), {}, {"runtime-cpu-limit"}, "no limit"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(limits.GROUP, VIOLATIONS)
