"""Foreign text is shown without its control characters, and cut with a count."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x00\x7f\x9b31m", r"a\x0db\x00\x7f\x9b31m"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("a\u200bb\ufeffc\u2060\u00ad", r"a\u200bb\ufeffc\u2060\xad"),
        ("\u2066x\u2069 \u2028", r"\u2066x\u2069 \u2028"),
        ("half \ud83d", r"half \ud83d"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("é € 日本 😀 \ufffd\ttab\nline\r\n", "é € 日本 😀 \ufffd\ttab\nline\n"),
    ],
)
def test_control_characters_are_spelled_out(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown
    assert text.visible(shown) == shown
    text.visible(raw).encode()


TRACE = [
    "panic: no map",
    "",
    "goroutine 1 [running]:",
    "main.main()",
    "\t/src/main.go:30 +0x38",
    "main.deeper(...)",
    "\t/src/deep.go:7 +0x1",
]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "b", "c", "d", "e"], ["c", "d", "e"]),
        (["started", *TRACE], TRACE[:3]),
        ([*TRACE, "started", *TRACE], TRACE[:3]),
        (
            ["fatal error: all goroutines are asleep - deadlock!", *TRACE[1:]],
            ["fatal error: all goroutines are asleep - deadlock!", *TRACE[1:3]],
        ),
        ([*TRACE, "started"], TRACE[:3]),
        ([*TRACE, "a", "b", "c"], ["a", "b", "c"]),
        (["panic: short", "\t/src/main.go:30"], ["panic: short", "\t/src/main.go:30"]),
        ([*TRACE[1:]], TRACE[-3:]),
    ],
)
def test_of_a_log_the_lines_that_tell_most_are_shown(lines: list[str], shown: list[str]) -> None:
    """The last ones; of a Go program's trace that is longer the beginning, which says why."""
    assert text.last_said(lines, 3) == shown


def test_long_lines_are_cut_once_with_a_count() -> None:
    cut = text.visible("short\n" + "x" * 5000)
    assert cut.startswith("short\nxxxx") and cut.endswith(" more characters)")
    assert len(cut) < 1010 and cut.count("x") + int(cut.split("(and ")[1].split()[0]) == 5000
    assert text.visible(cut) == cut
    assert text.visible({"a": ["\x07", 1, None]}) == {"a": ["\\x07", 1, None]}
