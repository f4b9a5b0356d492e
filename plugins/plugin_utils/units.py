"""Texts that a user writes as Docker does, read: durations, sizes, addresses of the host."""

from __future__ import annotations

import ipaddress
import re

from ..module_utils.common.settings import Endpoint

_DURATION = re.compile(r"\A(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+\Z")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SIZE = re.compile(r"\A([0-9]+)([bkmg]?)\Z", re.I)
_NANOSECONDS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3}
_LARGEST = (1 << 63) - 1  # what the Engine counts nanoseconds and bytes with
_ENDPOINT = 'write "127.0.0.1:8080", "[::1]:8080", "8080" or "" for none'


class Rejected(Exception):
    """What is wrong with one value: an end of a sentence for each problem."""


def parse_duration(text: str) -> float:
    """Return the seconds of a duration ("500ms", "30s", "1m30s"); raise Rejected otherwise."""
    if not isinstance(text, str) or not _DURATION.match(text):
        raise Rejected('is not a duration; write a number with a unit, like "500ms", "30s" or "1m30s"')
    total = sum(float(number) * _NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if not 1_000_000 <= total <= _LARGEST:
        raise Rejected("is out of range; the Engine takes 1ms to 292 years")
    return round(total) / 1e9


def parse_size(text: str, base: int = 1024) -> int:
    """Return the bytes of a size ("64m", "1g", plain bytes); raise Rejected otherwise. base: what the next unit is to a unit."""
    match = _SIZE.match(text) if isinstance(text, str) else None
    if not match:
        raise Rejected('is not a size; write a number with a unit b, k, m or g, like "64m"')
    # A number of more digits than this is out of range in any unit, and too long for int().
    size = int(match[1]) * base ** _POWERS[match[2].lower()] if len(match[1]) < 20 else _LARGEST + 1
    if size > _LARGEST:
        raise Rejected("is out of range; the Engine takes less than 8589934592g")
    return size


def parse_publish(text: str) -> Endpoint | None:
    """Return host address and port of "127.0.0.1:8080", "[::1]:8080" or "8080" (all addresses); None for ""."""
    if text == "":
        return None
    host, _colon, port = text.rpartition(":")
    try:
        address = str(ipaddress.ip_address(host.strip("[]"))) if host else "0.0.0.0"
    except ValueError:
        raise Rejected(f"has no IP address before the port; {_ENDPOINT}") from None
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise Rejected(f"has no port from 1 to 65535; {_ENDPOINT}")
    return Endpoint(address, int(port))
