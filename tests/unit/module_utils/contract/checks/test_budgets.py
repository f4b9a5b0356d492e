"""Budgets: size, layers, times, memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import budgets
from violations import GOOD, Violation, assert_all_provoked, assert_caught, result

HEAVY = samples.GOOD_BINARY + b"\0" * 60_000_000

VIOLATIONS: dict[str, Violation] = {
    "60 MB binary": (lambda: samples.good_evidence(replace_binary=samples.binary_layer(HEAVY)), {}, {"image-size"}, "60"),
    "heavy file": (
        lambda: samples.good_evidence(samples.Layer().add("/srv/video", b"\0" * 2_000_000)),
        {},
        {"files-differences", "image-overhead"},
        "/srv/video",
    ),
    "many layers": (
        lambda: samples.good_evidence(*(samples.Layer() for _number in range(4))),
        {},
        {"image-layers"},
        "2 more",
    ),
    "slow start": (lambda: GOOD, {"start_seconds": 3.0}, {"start-time"}, "50%"),
    "slow first build": (lambda: GOOD, {"build_seconds": 61.0}, {"build-time"}, "over the budget"),
    "slow cached build": (lambda: GOOD, {"build_seconds": 31.0, "build_cached": True}, {"build-time"}, "over the budget"),
    "hungry service": (lambda: replace(GOOD, memory=40_000_000), {}, {"memory-use"}, "25%"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(budgets.GROUP, VIOLATIONS)


@pytest.mark.parametrize("asked", [{"ca_in_image": True}, {"directories": ("/srv/data",)}, {"files": {"/srv/one": "root"}}])
def test_each_layer_that_was_asked_for_is_allowed_once(asked: dict[str, object]) -> None:
    found = samples.good_evidence(*(samples.Layer() for _number in range(3)))
    assert result("image-layers", found).verdict == "fail"
    assert result("image-layers", found, samples.expected(**asked)).verdict == "pass"


def test_what_another_platform_costs_in_layers_is_allowed_where_an_image_says_that_it_is_for_one() -> None:
    """Nothing can be run there that would make them one."""
    asked = samples.expected(directories=("/srv/a", "/srv/b"), ca_in_image=True)
    for number, verdict in ((9, "pass"), (10, "fail")):
        layers = [samples.Layer() for _number in range(number)]
        found = samples.good_evidence(*layers, config={"Labels": {**GOOD.image.labels, "go-service.platform": "linux/arm64"}})
        assert result("image-layers", found, asked).verdict == verdict
    assert result("image-layers", samples.good_evidence(*(samples.Layer() for _number in range(9))), asked).verdict == "fail"


def test_budget_without_limit():
    """No limit is a skip that still shows what was measured."""
    found = result("image-size", GOOD, samples.expected(budgets={}))
    assert (found.verdict, found.allowed, found.unit) == ("skip", None, "MB")
    assert found.amount > 0
    assert "go_service_budget.image_mb" in found.reason


def test_budget_that_only_warns():
    """A budget of go_service_budget_warn_only warns where another fails."""
    asked = samples.expected(build_seconds=61.0, start_seconds=3.0, warn_only=("first_build_seconds",))
    assert (result("build-time", GOOD, asked).verdict, result("start-time", GOOD, asked).verdict) == ("warn", "fail")


def test_budget_at_its_limit():
    """Exactly the limit keeps it."""
    assert result("start-time", GOOD, samples.expected(start_seconds=2.0)).verdict == "pass"
