"""The site's own check of links finds what is wrong, and what is no page of the site is linked in the repository."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from plays import PROJECT

_SPEC = importlib.util.spec_from_file_location("site_of_the_project", PROJECT / "scripts/site.py")
assert _SPEC and _SPEC.loader
site = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(site)


def test_every_document_for_users_is_a_page() -> None:
    documents = {str(path.relative_to(PROJECT)) for folder in ("docs", "roles", "examples") for path in (PROJECT / folder).rglob("*.md")}
    assert documents - set(site.pages()) == set(), "give each a place in PARTS of scripts/site.py"
    assert [page for page in site.pages() if not (PROJECT / page).exists()] == []


def test_no_two_pages_have_one_heading() -> None:
    texts = {page: site.titled((PROJECT / page).read_text(encoding="utf-8"), page) for page in site.pages()}
    headings = {page: re.search("^# (.*)$", text, re.M)[1] for page, text in texts.items()}
    assert sorted(set(headings.values())) == sorted(headings.values()), "give one of them another in TITLES of scripts/site.py"
    assert {page: headings[page] for page in site.TITLES} == site.TITLES


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("checks.md", "checks.md"),
        ("checks.md#user", "checks.md#user"),
        ("../README.md", "../README.md"),
        ("way.svg", "way.svg"),
        ("#section", "#section"),
        ("https://example.com/a", "https://example.com/a"),
        ("../plugins/modules/deploy.py", f"{site.REPOSITORY}/plugins/modules/deploy.py"),
        ("report.schema.json", f"{site.REPOSITORY}/docs/report.schema.json"),
    ],
)
def test_what_is_no_page_is_linked_in_the_repository(link: str, becomes: str) -> None:
    assert site.linked(f"see [it]({link}).", "docs/map.md") == f"see [it]({becomes})."


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<a href="b.html">x</a><a href="b.html#there">x</a><a href="#here">x</a><i id="here"></i>', ""),
        ('<a href="https://example.com/">x</a><a href="mailto:a@b.c">x</a>', ""),
        ('<a href="c.html">x</a>', "leads to c.html, which is not there"),
        ('<a href="b.html#gone">x</a>', "leads to b.html#gone, where there is no such place"),
        ('<a href="#gone">x</a>', "leads to #gone, where there is no such place"),
        ('<script src="https://cdn.example.com/x.js"></script>', "fetches https://cdn.example.com/x.js"),
        ('<link rel="stylesheet" href="//cdn.example.com/x.css">', "fetches //cdn.example.com/x.css"),
        ('<img src="gone.png">', "has no gone.png"),
    ],
)
def test_a_link_that_leads_nowhere_is_told(tmp_path: Path, body: str, told: str) -> None:
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1>')
    found = list(site.faults(tmp_path))
    assert [told in sentence for sentence in found] == ([True] if told else [])
