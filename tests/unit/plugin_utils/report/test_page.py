"""The report as a page: what is shown, what is offered, and everything escaped."""

from __future__ import annotations

import pytest
import samples
from ansible_collections.proven.go_service.plugins.action import report as action
from ansible_collections.proven.go_service.plugins.plugin_utils.report import page as pages
from reports import BAD, BEFORE, RAW, Page, assemble, facts


def page(document):
    """The page of a document."""
    return action.render(action.PAGE, report=document, view=pages.view(document))


@pytest.mark.parametrize("name", RAW)
def test_page(name):
    """The page of every outcome is well formed and self-contained, and tells the verdict and every check."""
    document = assemble(RAW[name])
    found = Page(page(document))
    assert found.open == []
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert set(found.outside) <= {"cat-server.json"}
    assert len(found.ids) == len(set(found.ids))
    assert set(found.references) <= set(found.ids)
    words = {"pass": "Passed", "warn": "Passed with warnings", "fail": "Failed"}
    assert words[document["verdict"]] in found.text
    for item in document["checks"]:
        assert item["id"] in found.text
        assert item["title"] in found.text
        assert all(rule in found.text for rule in item["rules"])
    if document["failure"]:
        assert document["failure"]["message"][1:] in found.text


def test_page_of_what_needs_attention():
    """Each failure has its remedy on the page, each waiver its reason."""
    broken = Page(page(assemble(RAW["contract broken"]))).text
    for item in BAD["checks"]:
        assert item["verdict"] != "fail" or item["remedy"].replace("`", "") in broken
    assert "It writes its index." in Page(page(assemble(RAW["waived"]))).text


def poisoned(value, text):
    """The same document with a text in the place of every text that is not a key word of the format."""
    if isinstance(value, dict):
        fixed = ("verdict", "severity", "group", "$schema", "schema_version", "generated_at", "checked_at", "since", "unit")
        return {key: item if key in fixed else poisoned(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "{{ 7 * 7 }}"])
@pytest.mark.parametrize("name", ["good", "contract broken", "waived", "build failed"])
def test_everything_is_escaped(name, text):
    """No text of a report, wherever it stands, becomes markup."""
    document = poisoned(assemble(RAW[name], assemble(RAW["waived"], now=BEFORE)), text)
    found = Page(page(document))
    assert not {"script", "img"} & set(found.tags)
    assert not [value for value in found.outside if value.startswith("on")]
    assert found.open == []
    assert "49" not in page(document).partition("</style>")[2] or "{{" not in text
    index = Page(action.render(action.INDEX, view=pages.index_view([(text, document), (text, document)])))
    assert not {"script", "img"} & set(index.tags)
    assert index.open == []


def test_bars():
    """Within the limit the limit is the whole bar; beyond it the amount is."""
    bars = {bar["id"]: bar for bar in pages.view(assemble(RAW["contract broken"]))["bars"]}
    assert (bars["start-time"]["fill"], bars["start-time"]["mark"]) == (100.0, 66.67)
    assert bars["start-time"]["share"] == "150 % of the limit"
    assert (bars["build-time"]["fill"], bars["build-time"]["mark"]) == (35.0, 100.0)
    free = pages.view(assemble(facts(asked=samples.expected(budgets={}))))["bars"]
    assert {bar["mark"] for bar in free} == {None}
