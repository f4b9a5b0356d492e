"""README.ja.md is kept in step with README.md: the same headings, tables, examples and places that it leads to."""

from __future__ import annotations

import re

import pytest
from plays import PROJECT

ENGLISH = (PROJECT / "README.md").read_text(encoding="utf-8")
JAPANESE = (PROJECT / "README.ja.md").read_text(encoding="utf-8")


def headings(text: str) -> list[int]:
    """Return the levels of the headings in their order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.M)]


def tables(text: str) -> list[list[tuple[str, ...]]]:
    """Return of each table the columns of each row; what is written as code stands for a column that has it."""
    found = re.findall(r"(?:^\|.*\n)+", re.sub(r"<!-- BEGIN (MATRIX|ENGINES).*?END \1 -->", "", text, flags=re.S), re.M)
    rows = [[line.strip("|").split(" | ") for line in table.splitlines()] for table in found]
    return [[tuple(",".join(re.findall(r"`[^`]+`", cell)) for cell in row) for row in table] for table in rows]


def examples(text: str) -> list[str]:
    """Return the indented lines, which are commands, files and outputs."""
    return re.findall(r"^    .*", text, re.M)


def links(text: str) -> set[str]:
    """Return the files and sections of others that it leads to."""
    own = re.sub(r"^\[(?:English|日本語)\].*$", "", text, flags=re.M)
    return {link for link in re.findall(r"\]\(([^)#]+)", own) if link != "README.md"}


@pytest.mark.parametrize("part", [headings, tables, examples, links])
def test_both_languages_have_the_same(part) -> None:
    assert part(JAPANESE) == part(ENGLISH), "change README.ja.md with README.md"
    assert part(ENGLISH)


def test_each_leads_to_the_other() -> None:
    assert "[日本語](README.ja.md)" in ENGLISH
    assert "[English](README.md)" in JAPANESE
