"""The report as a page: what is shown, what is offered, and everything escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.names import LABEL_STAND_IN, OCI
from ansible_collections.proven.go_service.plugins.plugin_utils import templates
from ansible_collections.proven.go_service.plugins.plugin_utils.report import page as pages
from ansible_collections.proven.go_service.plugins.plugin_utils.report import writing
from reports import BAD, BEFORE, RAW, Page, assemble, checked, facts


def page(document):
    """The page of a document."""
    return templates.page(writing.PAGE, report=document, view=pages.view(document))


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


@pytest.mark.parametrize(
    ("strategy", "action", "told"),
    [
        ("candidate", "replaced", "Strategy candidate: proven by a candidate beside the old container."),
        ("candidate", "created", "Strategy candidate: proven by a candidate."),
        ("recreate", "replaced", "Strategy recreate: proven in the service's place, the old container stopped before."),
        ("recreate", "kept", "Strategy recreate: proven in the service's place."),
    ],
)
def test_the_strategy_of_a_deploy(strategy, action, told):
    """How the new version took the old one's place is on the page; of an old container only where there was one."""
    deploy = {"strategy": strategy, "action": action}
    assert told in Page(page(assemble({**RAW["good"], "deploy": deploy}))).text


@pytest.mark.parametrize("raw", [{**RAW["good"], "deploy": {"action": "replaced"}}, RAW["build failed"]], ids=["earlier", "failed before"])
def test_no_strategy_where_none_is_known(raw):
    """A report of an earlier version has none, and a run that failed before its deploy."""
    assert "Strategy" not in Page(page(assemble(raw))).text


def poisoned(value, text):
    """The same document with a text in the place of every text that is not a key word of the format."""
    if isinstance(value, dict):
        fixed = ("verdict", "severity", "group", "$schema", "schema_version", "generated_at", "checked_at", "since", "unit")
        return {key: item if key in fixed else poisoned(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "{{ 71 * 93 }}"])
@pytest.mark.parametrize("name", ["good", "contract broken", "waived", "build failed"])
def test_everything_is_escaped(name, text):
    """No text of a report, wherever it stands, becomes markup."""
    document = poisoned(assemble(RAW[name], assemble(RAW["waived"], now=BEFORE)), text)
    found = Page(page(document))
    assert not {"script", "img"} & set(found.tags)
    assert not [value for value in found.outside if value.startswith("on")]
    assert found.open == []
    assert "6603" not in page(document).partition("</style>")[2] or "{{" not in text
    index = Page(templates.page(writing.INDEX, view=pages.index_view([(text, document), (text, document)])))
    assert not {"script", "img"} & set(index.tags)
    assert index.open == []


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            {LABEL_STAND_IN: "true", OCI + "title": "Alpine 3, put together <here>"},
            "not on the official image alpine:3.24. It is alpine:3.24: Alpine 3, put together <here>.",
        ),
        ({LABEL_STAND_IN: "true"}, "Built on a stand-in, not on the official image alpine:3.24."),
        ({}, "Built by a stand-in, not by the official image of the builder."),
    ],
)
def test_a_stand_in_is_told_and_says_what_it_is(labels: dict[str, str], told: str) -> None:
    base = replace(samples.good_evidence().base, labels=labels)
    shown = Page(page({**assemble(facts(replace(samples.good_evidence(), base=base))), "stand_in": True})).text
    assert told in " ".join(shown.split())
    assert "stand-in" not in Page(page(assemble(RAW["good"]))).text


def test_a_report_of_an_earlier_format_is_shown() -> None:
    """What is kept of the last report where nothing changed may be without what was added since."""
    base = replace(samples.good_evidence().base, labels={LABEL_STAND_IN: "true"})
    document = assemble(facts(replace(samples.good_evidence(), base=base)))
    del document["image"]["base"]["title"]
    assert "Built on a stand-in, not on the official image alpine:3.24." in " ".join(Page(page(document)).text.split())


def test_bars():
    """Within the limit the limit is the whole bar; beyond it the amount is."""
    bars = {bar["id"]: bar for bar in pages.view(assemble(RAW["contract broken"]))["bars"]}
    assert (bars["start-time"]["fill"], bars["start-time"]["mark"]) == (100.0, 66.67)
    assert bars["start-time"]["share"] == "150 % of the limit"
    assert (bars["build-time"]["fill"], bars["build-time"]["mark"]) == (35.0, 100.0)
    free = pages.view(assemble(facts(asked=samples.expected(budgets={}))))["bars"]
    assert {bar["mark"] for bar in free} == {None}


def test_what_needs_attention_stands_in_the_order_of_its_gravity() -> None:
    """Failures before warnings before waivers, and of each the severe ones first."""
    checks = checked(
        accounts="waived",
        image_size="warn",
        user_uid="pass",
        runtime_cpu_limit="fail",
        user_not_root="fail",
        config_env_secrets="fail",
        user_groups="skip",
    )
    view = pages.view(assemble({"checks": checks}))
    by_severity = sorted(checks[3:6], key=lambda check: ["critical", "high", "medium", "low"].index(check["severity"]))
    assert view["attention"] == [*by_severity, checks[1], checks[0]]
    assert view["judged"] == 6
    assert view["word"] == "Failed"


def test_a_group_shows_its_worst_verdict_and_how_many_passed() -> None:
    checks = checked(
        image_size="pass", start_time="skip", build_time="waived", accounts="skip", user_uid="pass", user_groups="pass", binary_elf="skip"
    )
    groups = pages.view(assemble({"checks": checks}))["groups"]
    assert [(group["title"], group["verdict"], group["passed"], group["judged"], len(group["checks"])) for group in groups] == [
        ("Budgets", "waived", 1, 2, 3),
        ("Binary", "skip", 0, 0, 1),
        ("Identity", "pass", 2, 2, 3),
    ]


def test_layers_are_shown_by_their_part_of_the_image_and_beside_the_largest() -> None:
    layers = [{"size": size, "created_by": ""} for size in (1_000_000, 3_000_000, 0)]
    view = pages.view({**assemble({}), "image": {"layers": layers, "size": 4_000_000}})
    assert [(layer["number"], layer["shown"], layer["share"], layer["fill"]) for layer in view["layers"]] == [
        (1, "1.0 MB", 25.0, 33.33),
        (2, "3.0 MB", 75.0, 100.0),
        (3, "0 B", 0.0, 0.0),
    ]
    assert [layer["number"] for layer in view["layers_by_size"]] == [2, 1, 3]
    assert view["size"] == "4.0 MB"
    assert pages.view({**assemble({}), "image": {"layers": [], "size": 0}})["layers"] == []
    assert (pages.view(assemble({}))["size"], pages.view(assemble({}))["layers"]) == ("", [])


def test_stages_stand_one_behind_the_other() -> None:
    cached = [{"cached": True}, {"cached": False}, {"cached": True}]
    timeline = [{"stage": "look", "seconds": 1.0}, {"stage": "build", "seconds": 3.0, "steps": cached}, {"stage": "tags", "seconds": 0}]
    view = pages.view(assemble({"timeline": timeline}))
    assert [(stage["start"], stage["fill"], stage["cached"]) for stage in view["stages"]] == [
        (0.0, 25.0, 0),
        (25.0, 75.0, 2),
        (100.0, 0.6, 0),
    ]
    assert (view["total"], view["stages"][1]["shown"]) == ("4.00 s", "3.00 s")
    assert pages.view(assemble({}))["total"] == ""


def test_a_bar_that_has_no_limit_or_nothing_in_it_can_be_seen() -> None:
    def bar(amount: float, allowed: float | None) -> tuple[float, float | None, str]:
        budget = {**checked(image_size="pass")[0], "title": "Size", "measured": "x", "amount": amount, "allowed": allowed}
        (shown,) = pages.view(assemble({"checks": [budget]}))["bars"]
        return shown["fill"], shown["mark"], shown["share"]

    assert bar(5, None) == (100.0, None, "")
    assert bar(0, 10) == (0.6, 100.0, "0 % of the limit")
    assert bar(1, 0) == (100.0, 0.0, "")
    assert bar(0, 0) == (0.6, 0.0, "")
    assert bar(3, 2) == (100.0, 66.67, "150 % of the limit")


@pytest.mark.parametrize(
    ("check", "measured", "label"),
    [
        ("build_time", "20 s, with a cache", "Build with a cache"),
        ("build_time", "20 s, the first one", "First build"),
        ("start_time", "1 s", "Title"),
    ],
)
def test_the_two_kinds_of_builds_have_names_of_their_own(check: str, measured: str, label: str) -> None:
    budget = {**checked(**{check: "pass"})[0], "title": "Title", "measured": measured, "amount": 1, "allowed": 2}
    assert pages.view(assemble({"checks": [budget]}))["bars"][0]["label"] == label


def test_the_index_begins_with_the_worst_and_shows_each_report_in_one_row() -> None:
    good = {**assemble(RAW["good"]), "host": "vm2"}
    documents = [
        ("4", good),
        ("3", {**good, "host": "vm1", "service": "zeta"}),
        ("2", {**good, "host": "vm1"}),
        ("1", {**assemble(RAW["nothing"]), "host": "vm9"}),
        ("0", {**assemble(RAW["build failed"]), "host": "vm9"}),
    ]
    view = pages.index_view(documents)
    assert [row["href"] for row in view["rows"]] == ["0", "1", "2", "3", "4"]
    assert view["counts"] == {"fail": 1, "warn": 1, "pass": 3}
    row, bare = view["rows"][-1], view["rows"][0]
    assert (row["digest"], row["start"], bool(row["size"]), row["word"]) == (samples.DIGEST[:12], "0.40 s", True, "Passed")
    assert (bare["digest"], bare["start"], bare["size"], bare["word"]) == ("", "", "", "Failed")
    assert (row["host"], row["service"], row["summary"], row["stand_in"]) == ("vm2", "cat-server", good["summary"], False)
    assert row["generated_at"] == good["generated_at"]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "muted", "pass", "warn", "fail", "waived", "skip", "accent"])
def test_words_stand_out_from_their_ground(ink: str, scheme: str) -> None:
    """The contrast that WCAG 2 wants of small text, on each ground that a word stands on."""
    css = (templates.TEMPLATES / "report.css.j2").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))
    for ground in ("bg", "card", f"{ink}-bg") if f"{ink}-bg" in colours else ("bg", "card", "code"):
        darker, lighter = sorted(luminance(colours[name]) for name in (ink, ground))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, ground)
