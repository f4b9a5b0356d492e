"""What a run tells a person at its end."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.plugin_utils import summary
from samples import Settings

PLAN = {"deploy": [], "build": [], "image": "cat-server:3f2a91c07b6e", "stand_in": False, "bases": [], "last_report": {}}
EMPTY: dict[str, Any] = {"build": {}, "verify": {}, "deploy": {}, "failure": {}, "report": {}}
WRITTEN = {"paths": {}, "image": None, "counts": {}, "verdict": "pass", "checks": [], "path": "reports/localhost/cat-server.html"}


def record(settings: typed.Settings, plan: dict[str, Any] | None = None, run: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """Return the record of a run."""
    return {**EMPTY, "settings": settings.as_json(), "plan": {**PLAN, **(plan or {})}, **(run or {}), **parts}


def told(settings: typed.Settings, plan: dict[str, Any] | None = None, run: dict[str, Any] | None = None, **written: Any) -> list[str]:
    """Return the lines of a summary."""
    return summary.text(record(settings, plan, run, report={**WRITTEN, **written})).splitlines()


@pytest.mark.parametrize(
    ("publish", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("8080", "http://127.0.0.1:8080"),
        ("192.0.2.1:80", "http://192.0.2.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80"),
        ("", ""),
    ],
)
def test_the_address_to_try(settings: Settings, publish: str, url: str) -> None:
    assert settings(publish=publish).url == url
    lines = told(settings(publish=publish, health_path="/up"))
    assert [shlex.split(line)[-1] for line in lines if "curl" in line] == ([f"{url}/up"] if url else [])


@pytest.mark.parametrize(
    ("plan", "deploy", "headline"),
    [
        ([], {}, "cat-server is healthy; nothing had to change."),
        (["x"], {"action": "created"}, "cat-server is healthy: a new container runs."),
        (["x"], {"action": "replaced", "outage_seconds": 0.84}, "a new container took over, 0.8 s after the old one was told to stop."),
        (["x"], {"action": "replaced"}, "a new container took over, 0.0 s after the old one was told to stop."),
        (["x"], {"action": "kept"}, "cat-server is healthy: its container was as it should be."),
        (["x"], {"action": "proven"}, "cat-server is healthy: its container was proven again: x."),
        (["a", "b"], {}, "cat-server would be deployed: a; b."),
        (["a"], {"action": "would deploy"}, "cat-server would be deployed: a."),
    ],
)
def test_the_headline(settings: Settings, plan: list[str], deploy: dict[str, Any], headline: str) -> None:
    assert headline in told(settings(), {"deploy": plan}, {"deploy": deploy})[0]


def test_a_first_run(settings: Settings) -> None:
    run = {
        "build": {"seconds": 24.31, "cached": False},
        "verify": {"start_seconds": 0.312},
        "deploy": {"action": "created", "pruned": ["cat-server:0123456789ab"]},
    }
    check = {"verdict": "warn", "title": "Health check", "measured": "none", "reason": "the image has no health check"}
    lines = told(
        settings(),
        {"deploy": ["x"], "build": ["x"], "builder": {"name": "docker_image", "reason": ""}},
        run,
        image={"size": 9_210_000, "user": "app"},
        counts={"pass": 30, "warn": 1, "fail": 0},
        checks=[check, {**check, "verdict": "pass", "title": "Port"}],
    )
    assert lines == [
        "cat-server is healthy: a new container runs.",
        "  image     cat-server:3f2a91c07b6e, 9.2 MB, runs as app",
        "  build     24.3 s by docker_image, the first one",
        "  start     0.31 s until healthy",
        "  contract  kept: 30 passed, 1 with a warning",
        "            warn: Health check: none, the image has no health check",
        "  removed   cat-server:0123456789ab",
        "  try it    curl http://127.0.0.1:8080/health",
        "  report    reports/localhost/cat-server.html",
    ]


def test_what_lies_beside_the_report_is_named(settings: Settings) -> None:
    paths = {"html": "r/vm1/api.html", "sbom": "r/vm1/api.sbom.json", "provenance": "r/vm1/api.provenance.json"}
    assert told(settings(), paths=paths)[-1] == "  beside it bill of materials api.sbom.json, provenance api.provenance.json"
    assert told(settings(), paths={"html": "r/vm1/api.html"})[-1].startswith("  report")


def test_a_run_without_a_build(settings: Settings) -> None:
    assert "  build     none: the image of this very source was there" in told(settings())
    assert "  start     0.50 s until healthy" in told(settings(), {"last_report": {"start_seconds": 0.5}})


def test_a_broken_contract_is_not_called_kept(settings: Settings) -> None:
    assert "  contract  BROKEN: 2 failed" in told(settings(), counts={"fail": 2}, verdict="fail")


def test_a_stand_in_is_never_passed_over(settings: Settings) -> None:
    (line,) = [
        line for line in told(settings(), {"stand_in": True, "bases": ["stand-in/go-builder:1", "stand-in/runtime:1"]}) if "base" in line
    ]
    assert (
        "STAND-IN, put together on the host, not the official images: stand-in/go-builder:1, stand-in/runtime:1 in place of golang:1.27-alpine3.24, alpine:3.24"
        in line
    )


def test_a_stand_in_that_was_asked_for_is_in_place_of_nothing(settings: Settings) -> None:
    bases = ["stand-in/go-builder:1", "stand-in/runtime:1"]
    asked = settings(builder_image=bases[0], runtime_image=bases[1])
    assert f"  base      STAND-IN, put together on the host, not the official images: {', '.join(bases)}" in told(
        asked, {"stand_in": True, "bases": bases}
    )


def test_an_image_that_is_not_known_yet(settings: Settings) -> None:
    assert "  image     (not known before the source and the base images are there)" in told(
        settings(), {"image": "", "build": ["x"], "deploy": ["x"]}
    )


FAILURE = {
    "stage": "candidate",
    "message": "it exited with code 3",
    "evidence": ["log: boom"],
    "still_runs": "The old one runs.",
    "remedy": "Correct it.",
}


def test_an_image_that_was_asked_for_is_not_called_that_of_this_source(settings: Settings) -> None:
    lines = told(settings(image_tag="previous"), {"deploy": ["x"]}, {"deploy": {"action": "replaced"}})
    assert "  build     none: an image that was built before was asked for" in lines


def test_a_failure(settings: Settings) -> None:
    failed = record(settings(name="api"), failure=FAILURE, report={"path": "reports/x.html"})
    assert summary.failure_text(failed).splitlines() == [
        "api: it exited with code 3",
        "",
        "  | log: boom",
        "",
        "What still runs: The old one runs.",
        "What to do: Correct it.",
        "Report: reports/x.html",
    ]


def test_a_task_that_is_no_stage_fails_with_all_three_parts_as_well(settings: Settings) -> None:
    deployed = record(settings(name="api"), {"image": "api:1"}, {"deploy": {"container_id": "0123456789abcdef"}})
    lines = summary.failure_text(
        summary.failed(deployed, {"failed": True, "msg": "no hunter2x\x07"}, "Sum up", {"env": {"A": "hunter2x"}, "address": ""})
    ).splitlines()
    assert lines[:2] == [
        "api: the task 'Sum up' failed: no ***\\x07",
        "What still runs: The container 0123456789ab of api:1 runs and is healthy.",
    ]
    assert lines[2].startswith("What to do: ")


@pytest.mark.parametrize(
    ("plan", "image_tag", "stage"),
    [({}, "", "source"), ({}, "previous", "role"), (PLAN, "", "role")],
    ids=["before the plan", "of an image without a source", "after the plan"],
)
def test_a_task_that_is_no_stage_is_one_of_the_source_until_there_is_a_plan(
    settings: Settings, plan: dict[str, Any], image_tag: str, stage: str
) -> None:
    begun = {**record(settings(image_tag=image_tag)), "plan": plan}
    assert summary.failed(begun, {"failed": True, "msg": "x"}, "Unpack", {"address": ""})["failure"]["stage"] == stage


def test_what_a_failed_stage_found_out_is_recorded(settings: Settings) -> None:
    result = {"failed": True, "msg": "x", "failure": FAILURE, "verify": {"sbom": {"a": 1}}}
    failed = summary.failed(record(settings()), result, "x", {"address": ""})
    assert (failed["failure"], failed["verify"], summary.sbom(failed), summary.still_runs(failed)) == (
        FAILURE,
        {"sbom": {"a": 1}},
        {"a": 1},
        FAILURE["still_runs"],
    )


# What the stages hand on to the report


def test_the_bill_of_an_image_that_was_proven_before_is_that_of_the_report_before(settings: Settings) -> None:
    assert summary.sbom(record(settings(), {"last_report": {"sbom": {"a": 1}}})) == {"a": 1}
    assert summary.sbom({**record(settings()), "plan": {}}) == {}
    assert summary.provenance(record(settings(), {"last_report": {"provenance": {"a": 1}}})) == {"a": 1}
    assert summary.provenance({**record(settings()), "plan": {}}) == {}


def test_the_report_of_a_run_that_deployed(settings: Settings) -> None:
    run = {
        "build": {"seconds": 24.3, "steps": ["x"]},
        "verify": {"seconds": 2.0, "facts": {"image": {"size": 1}}},
        "deploy": {"seconds": 1.5},
    }
    report = summary.report_document(record(settings(), {"seconds": 0.4, "stand_in": True, "builder": {"name": "buildx"}}, run))
    assert [(stage["stage"], stage["seconds"]) for stage in report["timeline"]] == [
        ("look and stage", 0.4),
        ("build", 24.3),
        ("candidate and contract", 2.0),
        ("swap", 1.5),
    ]
    assert (report["image"], report["stand_in"], report["failure"], "unchanged" in report) == ({"size": 1}, True, None, False)
    assert (report["builder"], report["deploy"], report["timeline"][1]["steps"]) == ({"name": "buildx"}, run["deploy"], ["x"])


def test_the_report_of_a_run_that_found_nothing_to_do_shows_what_was_measured_before(settings: Settings) -> None:
    kept = {"checked_at": "2026-03-01T12:00:00Z", "facts": {"image": {"size": 1}}}
    report = summary.report_document(record(settings(), {"digest": "f" * 64, "last_report": kept}))
    assert (report["image"], report["unchanged"], report["checked_at"], report["timeline"]) == (
        {"size": 1},
        "f" * 64,
        kept["checked_at"],
        [],
    )


def test_the_report_of_a_run_that_failed_early(settings: Settings) -> None:
    report = summary.report_document({**record(settings(), failure=FAILURE), "plan": {}})
    assert (report["failure"], report["stand_in"], report["builder"], report["deploy"]) == (FAILURE, False, None, None)
    assert report["ask"] == "curl -fsS http://127.0.0.1:8080/health"


def test_an_image_for_another_platform_is_told_as_one(settings: Settings) -> None:
    """It is not deployed here, and there is nothing to try."""
    plan = {"build": ["there is no image"], "deploy": ["x"], "image": "cat-server:1", "try_it": "curl http://127.0.0.1:8080/health"}
    there = settings(platform="linux/arm64")
    rows = [summary.outcome({**record(there, plan), "build": build}) for build in ({"seconds": 1}, {})]
    rows.append(summary.outcome({**record(there, {**plan, "build": []}), "build": {}}))
    assert [(row["did"], row["told"]) for row in rows] == [(did, "for linux/arm64") for did in ("built", "to build", "unchanged")]


def test_what_became_of_several_services_is_a_table(settings: Settings) -> None:
    created = summary.outcome({**record(settings(), {"deploy": ["x"], "image": "cat-server:1"}), "deploy": {"action": "created"}})
    kept = summary.outcome(record(settings(), {"deploy": [], "image": "cat-server:1", "try_it": "curl http://127.0.0.1:8080/health"}))
    checked = summary.outcome(record(settings(), {"deploy": ["x"], "image": "cat-server:1"}))
    removed = summary.outcome({**record(settings()), "plan": {}})
    failed = {"name": "a", "failed": True, "did": "failed", "image": "", "told": "it ended"}
    rows = [failed, created, kept, checked, removed]
    assert summary.services_table(rows, ["cat-server", "a"]).splitlines() == [
        "service                image",
        "cat-server  created    cat-server:1",
        "cat-server  unchanged  cat-server:1  curl http://127.0.0.1:8080/health",
        "cat-server  to deploy  cat-server:1",
        "cat-server  done       -",
        "a           failed     -             it ended",
    ]
