"""String literals of Go, as https://go.dev/ref/spec#String_literals has them."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.literals import unquote


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (b'""', ""),
        (b"`a\\n\r\nb`", "a\\n\nb"),
        (b'"a\\tb\\"\\\\"', 'a\tb"\\'),
        (b'"\\x41\\102\\u00e9\\U0001F600"', "AB\u00e9\U0001f600"),
        ('"\u65e5"'.encode(), "\u65e5"),
        (b'"\\xc3\\xa9"', "\u00e9"),
    ],
)
def test_a_literal_becomes_its_text(literal: bytes, text: str) -> None:
    assert unquote(literal) == text


@pytest.mark.parametrize("literal", [b'"\\q"', b'"\\U00110000"', b'"\\ud800"', b'"\\xff"', b'"\\12"'])
def test_what_no_go_file_may_hold_is_malformed(literal: bytes) -> None:
    with pytest.raises(ValueError):
        unquote(literal)


def test_bytes_that_are_no_text_become_what_was_asked_for() -> None:
    assert unquote(b'"a\\xff"', errors="replace") == "a\ufffd"
