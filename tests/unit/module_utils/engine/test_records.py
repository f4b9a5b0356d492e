"""What the Engine's records say: times, health checks."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import records


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        ("1970-01-01T00:00:01.123456789Z", 1.123456789),
        ("1970-01-01T02:00:00+02:00", 0.0),
        ("2026-03-01T12:00:00.000000001-05:00", 1772384400.000000001),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert records.parse_time(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["", "now", "2026-03-01T12:00:00", "0001-01-01T00:00:00Zx"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time of the Engine|Invalid isoformat"):
        records.parse_time(text)


@pytest.mark.parametrize(
    ("check", "command"),
    [
        (None, None),
        ({}, None),
        ({"Test": []}, None),
        ({"Test": ["NONE"]}, None),
        ({"Test": ["CMD"]}, None),
        ({"Test": ["CMD", "wget", "-q"]}, ["wget", "-q"]),
        ({"Test": ["CMD-SHELL", "wget -q || exit 1"]}, ["/bin/sh", "-c", "wget -q || exit 1"]),
    ],
)
def test_the_command_of_a_health_check(check: object, command: list[str] | None) -> None:
    assert records.health_test({"Config": {"Healthcheck": check}}) == command
