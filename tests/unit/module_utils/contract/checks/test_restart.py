"""The restart policy."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import restart
from violations import Violation, assert_all_provoked, assert_caught, in_container

VIOLATIONS: dict[str, Violation] = {
    "other restart policy": (
        lambda: in_container(RestartPolicy={"Name": "always"}),
        {},
        {"runtime-restart-policy"},
        "another policy",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(restart.GROUP, VIOLATIONS)
