"""Values of the settings as the Engine counts them: nanoseconds, bytes, address and port."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any

# How a new version takes the place of the old one (go_service_deploy_strategy).
DEPLOY_STRATEGIES = CANDIDATE, RECREATE = ("candidate", "recreate")
_DURATION = re.compile(r"\A(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+\Z")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SIZE = re.compile(r"\A([0-9]+)([bkmg]?)\Z", re.I)
_NANOSECONDS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LARGEST = (1 << 63) - 1  # what the Engine counts nanoseconds and bytes with
BUDGETS = {
    "image_mb": 50.0,
    "start_seconds": 2.0,
    "first_build_seconds": 60.0,
    "cached_build_seconds": 30.0,
    "memory_mb": 64.0,
    "max_critical": None,
    "max_high": None,
}


class Rejected(Exception):
    """What is wrong with one value: an end of a sentence for each problem."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration as Docker writes it ("500ms", "30s", "1m30s"); raise Rejected otherwise."""
    if not isinstance(text, str) or not _DURATION.match(text):
        raise Rejected('is not a duration; write a number with a unit, like "500ms", "30s" or "1m30s"')
    total = sum(float(number) * _NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if not 1_000_000 <= total <= _LARGEST:
        raise Rejected("is out of range; the Engine takes 1ms to 292 years")
    return round(total)


def parse_size(text: str) -> int:
    """Return the bytes of a size as Docker writes it ("64m", "1g", plain bytes); raise Rejected otherwise."""
    match = _SIZE.match(text) if isinstance(text, str) else None
    if not match:
        raise Rejected('is not a size; write a number with a unit b, k, m or g, like "64m"')
    # A number of more digits than this is out of range in any unit, and too long for int().
    size = int(match[1]) * _BYTES[match[2].lower()] if len(match[1]) < 20 else _LARGEST + 1
    if size > _LARGEST:
        raise Rejected("is out of range; the Engine takes less than 8589934592g")
    return size


def parse_publish(value: str) -> tuple[str, int] | None:
    """Return (host address, host port) of "127.0.0.1:8080", "[::1]:8080" or "8080" (all addresses); None for ""."""
    if value == "":
        return None
    host, _colon, port = value.rpartition(":")
    try:
        address = str(ipaddress.ip_address(host.strip("[]"))) if host else "0.0.0.0"
    except ValueError:
        raise Rejected('has no IP address before the port; write "127.0.0.1:8080", "[::1]:8080", "8080" or "" for none') from None
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise Rejected('has no port from 1 to 65535; write "127.0.0.1:8080", "[::1]:8080", "8080" or "" for none')
    return address, int(port)


def health_command(settings: Mapping[str, Any]) -> list[str]:
    """Return the words of the health check's command."""
    address = f"http://{settings['health_host']}:{settings['port']}{settings['health_path']}"
    return ["wget", "--no-verbose", "--tries=1", "--spider", address]


def contract_terms(settings: Mapping[str, Any]) -> str:
    """Return what the contract asks beyond what image and container are made from, as one word: another asks for another judgement."""
    asked = {name: settings[name] for name in ("budget", "budget_warn_only", "waivers")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
