"""What the Engine's records mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def parse_time(text: str) -> float:
    """Return the seconds since 1970 of a time as the Engine writes it (RFC 3339 with nanoseconds)."""
    match = re.match(r"\A(.*?)(\.[0-9]+)?(Z|[+-][0-9:]+)\Z", text)
    if not match:
        raise ValueError(f"not a time of the Engine: {text!r}")
    seconds = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).timestamp()
    return seconds + float(match[2] or 0)


def health(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the health record of an inspected container, empty where it has no health check."""
    return (container.get("State") or {}).get("Health") or {}


def health_test(image: Mapping[str, Any]) -> list[str] | None:
    """Return the command that an image's health check runs, None where it has none."""
    test = ((image.get("Config") or {}).get("Healthcheck") or {}).get("Test") or []
    if len(test) < 2 or test[0] == "NONE":
        return None
    return ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else list(test[1:])
