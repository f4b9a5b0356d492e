"""Numbers and lists as a reader likes them, and names that were probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from .settings import parse_publish

_SHOWN = 8


def megabytes(size: float) -> str:
    """A size for readers, in the units `docker images` uses (millions of bytes)."""
    if size < 1000:
        return f"{size:.0f} B"
    if size < 100_000:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.1f} MB"


def seconds(value: float) -> str:
    """A time for readers."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def listed(items: Iterable[str]) -> str:
    """The first of many, and how many more there are."""
    found = list(items)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def one_line(text: str) -> str:
    """A text with a blank for each run of blanks, line breaks and other characters that do not print."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""


def url(settings: Mapping[str, Any]) -> str:
    """Return the address at which the service answers on its host, "" where it publishes no port."""
    published = parse_publish(settings["publish"])
    if not published:
        return ""
    address, port = published
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, f"[{address}]" if ":" in address else address)
    return f"http://{host}:{port}"
