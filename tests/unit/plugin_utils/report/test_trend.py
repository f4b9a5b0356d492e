"""The figures of the last images go from report to report, and become charts that say what was measured and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils import templates
from ansible_collections.proven.go_service.plugins.plugin_utils.report import page as pages
from ansible_collections.proven.go_service.plugins.plugin_utils.report import trend, writing
from reports import FAILURE, GOOD, Page, assemble, problems


def run(number: int, previous: dict[str, Any] | None = None, **figures: float) -> dict[str, Any]:
    """Return the report of a run on another image, whose checks measured these figures (`_` stands for a hyphen)."""
    raw = copy.deepcopy(GOOD)
    raw["image"]["digest"] = f"{number:064x}"
    for check in raw["checks"]:
        if check["id"].replace("-", "_") in figures:
            check["amount"] = figures[check["id"].replace("-", "_")]
    return assemble(raw, previous, now=f"2026-11-{number % 28 + 1:02}T10:00:00Z")


def shown(report: dict[str, Any]) -> Page:
    """Return the page of a report, read."""
    return Page(templates.page(writing.PAGE, report=report, view=pages.view(report)))


def test_an_image_is_one_entry_however_often_it_runs() -> None:
    first = run(1, image_size=14.0)
    again = run(1, first, image_size=14.0, start_time=0.4)
    assert [entry["digest"][-2:] for entry in again["history"]] == ["01"]
    assert again["history"][0]["figures"]["start-time"] == 0.4
    assert again["history"][0]["generated_at"] == first["generated_at"]
    second = run(2, again, image_size=15.0)
    assert [entry["figures"]["image-size"] for entry in second["history"]] == [14.0, 15.0]
    assert problems(second) == []


def test_what_was_measured_stays_where_a_later_run_measured_it_not() -> None:
    first = run(1, build_time=20.0)
    raw = copy.deepcopy(GOOD)
    raw["image"]["digest"] = f"{1:064x}"
    for check in raw["checks"]:
        if check["id"] == "build-time":
            check["amount"] = None
    later = assemble(raw, first)
    assert (later["history"][0]["figures"]["build-time"], later["history"][0]["cached"]) == (20.0, first["history"][0]["cached"])


def test_a_run_without_an_image_keeps_the_history() -> None:
    before = run(2, run(1))
    failed = assemble({"failure": FAILURE}, before)
    assert failed["history"] == before["history"]


def test_so_many_are_kept_and_no_more() -> None:
    report = None
    for number in range(trend.KEPT + 5):
        report = run(number + 1, report)
    assert report is not None
    assert [int(entry["digest"], 16) for entry in report["history"]] == list(range(6, trend.KEPT + 6))
    assert problems(report) == []


@pytest.mark.parametrize(
    "damage",
    [None, 1, "x", [1], [{}], [{"digest": "a", "generated_at": "b", "verdict": "c", "cached": None, "figures": {"image-size": "9"}}]],
)
def test_a_history_that_somebody_changed_counts_for_nothing(damage: Any) -> None:
    before = run(1)
    if isinstance(damage, (int, str)):
        damage = [damage]
    before["history"] = damage
    assert [int(entry["digest"], 16) for entry in run(2, before)["history"]] == [2]


def test_a_chart_has_a_bar_for_each_image_as_high_as_what_was_measured() -> None:
    report = run(3, run(2, run(1, image_size=10.0), image_size=20.0), image_size=5.0)
    chart = trend.view(report)["charts"][0]
    heights = [bar["height"] for bar in chart["bars"]]
    assert [round(height / heights[1], 2) for height in heights] == [0.5, 1.0, 0.25]
    assert [bar["y"] + bar["height"] for bar in chart["bars"]] == [trend.HEIGHT] * 3
    assert (chart["latest"], chart["note"], chart["limit"]) == ("5.0 MB", "before: 20.0 MB", None)
    assert "10.0 MB, 20.0 MB, 5.0 MB" in chart["label"]


def test_a_limit_is_drawn_where_it_is_near() -> None:
    report = run(2, run(1, image_size=40.0), image_size=45.0)
    chart = trend.view(report)["charts"][0]
    limit = next(budget["allowed"] for budget in report["budgets"] if budget["id"] == "image-size")
    assert chart["limit"] == 0.0 and chart["bars"][1]["height"] == pytest.approx(trend.HEIGHT * 45 / limit, abs=0.01)


def test_builds_with_a_cache_are_drawn_without_the_first_one() -> None:
    report = run(3, run(2, run(1, build_time=60.0), build_time=4.0), build_time=5.0)
    for entry, cached in zip(report["history"], (False, True, True)):
        entry["cached"] = cached
    shown = trend.view(report)
    chart = next(chart for chart in shown["charts"] if chart["title"] == "Build with a cache")
    assert [bar["told"].partition(": ")[2] for bar in chart["bars"]] == ["4.00 s", "5.00 s"]
    assert shown["rows"][-1]["figures"][shown["columns"].index("Build with a cache")] == ""


def test_one_image_has_no_history_to_show() -> None:
    report = run(1)
    assert trend.view(report)["charts"] == []
    assert "history" not in shown(report).ids


def test_the_page_has_the_charts_and_the_same_as_a_table() -> None:
    found = shown(run(2, run(1, image_size=14.0), image_size=15.5))
    assert "history" in found.ids and found.open == []
    for text in ("The last 2 images", "14.0 MB", "15.5 MB", f"{2:064x}"[:12]):
        assert text in found.text
