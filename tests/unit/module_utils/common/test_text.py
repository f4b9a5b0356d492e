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


def test_long_lines_are_cut_once_with_a_count() -> None:
    cut = text.visible("short\n" + "x" * 5000)
    assert cut.startswith("short\nxxxx") and cut.endswith(" more characters)")
    assert len(cut) < 1010 and cut.count("x") + int(cut.split("(and ")[1].split()[0]) == 5000
    assert text.visible(cut) == cut
    assert text.visible({"a": ["\x07", 1, None]}) == {"a": ["\\x07", 1, None]}
