"""Numbers and lists in a readable form, names that were probably meant, and text of others made safe to show."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

_SHOWN = 8
_LONGEST_LINE = 1000

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# Characters that control a terminal, or that a reader does not see: C0 except tab and line feed, DEL, C1, characters that change the direction of writing,
# characters without width or glyph, halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# The values of such names are usually secret.
SECRET_NAME = re.compile(r"auth(?!or(?!iz))|cookie|token|secret|passw|credential|(?:api|access|private)[_-]?key", re.I)

# How the output of a crashing Go program begins, and the lines of its trace (runtime/panic.go, runtime/traceback.go).
_GO_ENDS = re.compile(r"panic: |fatal error: |unexpected fault address |SIG[A-Z]+: ")
_GO_FRAME = re.compile(r"\t\S.*\.(?:go|s):\d+")


def spelled(text: str) -> str:
    """Return text of others without colours, and with other control characters shown as escapes."""
    return _UNSEEN.sub(_literal, _COLOUR.sub("", text).replace("\r\n", "\n"))


def visible(found: Any) -> Any:
    """Return text of others in a form that may be shown anywhere: with escapes, and with long lines cut. In plain data, every text except the names of mappings.

    Secrets must be masked before: if a line is cut within one, its remaining part could not be found any more.
    """
    if isinstance(found, str):
        return "\n".join(map(_cut, spelled(found).split("\n")))
    if isinstance(found, Mapping):
        return {name: visible(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [visible(value) for value in found]
    return found


def _literal(character: re.Match) -> str:
    """A character as Python and Go write it in a literal."""
    code = ord(character[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _cut(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    # Not longer than the limit, so that a line that was cut once is not cut again.
    kept = line[: _LONGEST_LINE - 40]
    return f"{kept} (and {len(line) - len(kept)} more characters)"


def last_said(lines: Sequence[str], most: int) -> list[str]:
    """Return the most informative lines of a service's log, up to a number: the last ones, or the first ones of a longer trace of a Go program."""
    first = max(len(lines) - most, 0)
    if any(_GO_FRAME.match(line) for line in lines[first:]):
        first = min([first, *[number for number, line in enumerate(lines) if _GO_ENDS.match(line)][-1:]])
    return list(lines[first : first + most])


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
    """A text with one blank for each sequence of blanks, line breaks and other characters that do not print."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def is_rfc3339(text: str) -> bool:
    """Say whether a text is a date and time with its zone, as RFC 3339 writes it."""
    try:
        return "T" in text and datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None
    except ValueError:
        return False


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the known name that was probably meant, as the end of a sentence, "" if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""


def duration(seconds: float) -> str:
    """A time as Docker writes it: "30s", "1m30s", "500ms"."""
    nanoseconds = round(seconds * 1_000_000_000)
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if minutes else []
    if rest or not parts:
        unit, name = (1_000_000_000, "s") if rest >= 1_000_000_000 or parts else (1_000_000, "ms")
        whole, fraction = divmod(rest, unit)
        digits = f"{fraction:0{len(str(unit)) - 1}d}".rstrip("0")
        parts.append(f"{whole}.{digits}{name}" if digits else f"{whole}{name}")
    return "".join(parts)


def size(number: int, base: int = 1024) -> str:
    """A number of bytes as Docker writes it: "64m", "1g"; base: what the next unit is to a unit."""
    unit = ""
    for larger in "kmg":
        if not number or number % base:
            break
        number, unit = number // base, larger
    return f"{number}{unit}"


def without_passwords(value: Any) -> Any:
    """Return settings with the user and the password of each address hidden, and each text whose name says that it is secret."""
    if isinstance(value, Mapping):
        return {
            key: "***" if isinstance(part, str) and SECRET_NAME.search(str(key)) else without_passwords(part) for key, part in value.items()
        }
    if isinstance(value, list):
        return [without_passwords(part) for part in value]
    return re.sub(r"//[^/\s]*@", "//***@", value) if isinstance(value, str) else value
