"""Settings as text become numbers, and what is none is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Endpoint
from ansible_collections.proven.go_service.plugins.plugin_utils import units


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None),
        ("8080", Endpoint("0.0.0.0", 8080)),
        ("127.0.0.1:1", Endpoint("127.0.0.1", 1)),
        ("0.0.0.0:65535", Endpoint("0.0.0.0", 65535)),
        ("[::]:80", Endpoint("::", 80)),
        ("[0:0::1]:80", Endpoint("::1", 80)),
    ],
)
def test_publish(value: str, expected: Any) -> None:
    assert units.parse_publish(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "65536",
        "127.0.0.1:",
        ":",
        "1.2.3:80",
        "256.0.0.1:80",
        "127.0.0.1:80/udp",
        "127.0.0.1:80-90",
        "-1",
        "000080",
        "\u0661",
        "\u00b2",
    ],
)
def test_wrong_publish(value: str) -> None:
    with pytest.raises(units.Rejected):
        units.parse_publish(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1ms", 0.001), ("1.5s", 1.5), ("1m30s", 90.0), ("1h", 3600.0), ("2562047h", 2562047 * 3600.0)],
)
def test_durations(text: str, expected: float) -> None:
    assert units.parse_duration(text) == expected


@pytest.mark.parametrize("text", ["30", "s", "30 s", "30s\n", "-1s", "1d", "1s1", "0s", "0.5ms", "1..5s", "2562048h", "99999999h", "", 30])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(units.Rejected):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("64m", 64 << 20), ("1G", 1 << 30), ("512k", 512 << 10), ("7b", 7), ("7", 7), ("0", 0), (str((1 << 63) - 1), (1 << 63) - 1)],
)
def test_sizes(text: str, expected: int) -> None:
    assert units.parse_size(text) == expected


@pytest.mark.parametrize("text", ["64mb", "1.5g", "64 m", "-1m", "m", "64m\n", "8589934592g", str(1 << 63), "9" * 5000, 64])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(units.Rejected):
        units.parse_size(text)
