"""What a module's result says of why it failed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.results import why


def event(message: str, cause: SimpleNamespace | None = None) -> SimpleNamespace:
    """Return an event as Ansible makes it of an exception."""
    return SimpleNamespace(msg=message, chain=SimpleNamespace(event=cause) if cause else None)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"msg": "it says so", "exception": "Traceback\nValueError: other"}, "it says so"),
        ({"exception": SimpleNamespace(event=event("Read timed out", event("timed out")))}, "Read timed out: timed out"),
        ({"msg": "", "exception": SimpleNamespace(event=event("Module failed", event("Module failed")))}, "Module failed"),
        ({"exception": SimpleNamespace(event=event("", event("the cause")))}, "the cause"),
        ({"exception": "Traceback (most recent call last):\n  File x\nTimeoutError: timed out\n\n"}, "TimeoutError: timed out"),
        ({"exception": ""}, ""),
        ({"exception": None}, ""),
        ({}, ""),
    ],
)
def test_it_is_what_the_module_says_or_the_exception_that_ended_it(result: dict[str, Any], expected: str) -> None:
    assert why(result) == expected
