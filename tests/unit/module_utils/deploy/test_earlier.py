"""An image that is returned to: which settings are its own, and which are today's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.contract.expected import Expected
from ansible_collections.proven.go_service.plugins.module_utils.deploy import earlier

Settings = Callable[..., typed.Settings]
KNOWN = {"id": "sha256:1", "proven": True}
THEN = {
    "port": 8080,
    "health_path": "/health?full=1",
    "health_host": "[::1]",
    "health_interval": "1m30s",
    "health_timeout": "1.5ms",
    "health_start_period": "2s",
    "health_retries": 7,
    "user": "app",
    "runtime_image": "alpine:3.20",
}
NOW = {
    "port": 9090,
    "health_path": "/other",
    "health_host": "localhost",
    "user": "svc",
    "uid": 12,
    "runtime_image": "alpine:3.24",
    "memory": "64m",
}

# Settings of which an image that is returned to is held to today's, or to none: they are the container's, the host's, the build's or the run's.
TODAYS = """
    name source source_type source_version module_dir main_package version builder_image platform builder build_tags ldflags
    run_tests build_args build_env build_secrets build_modules ca_certificates ca_in_image build_network build_timeout dockerignore context_limit_mb publish env
    secret_files volumes labels network networks restart_policy
    log_max_size log_max_file stop_timeout image_tag deploy_strategy stable_seconds keep_images
    lock_timeout work_dir budget_warn_only vulnerability_database report_dir registry registry_credentials
    registry_ca
""".split()  # noqa: SIM905 - a list of literals would be a page long


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(typed.Settings)])
def test_of_every_setting_it_is_said_whether_an_image_keeps_it(name: str) -> None:
    assert [*earlier.BUILT_WITH, *earlier.RUN_WITH, *TODAYS].count(name) == 1, (
        f"{name} belongs into one of three lists: BUILT_WITH of plugins/module_utils/deploy/earlier.py where it decides what the image is or is held "
        "to, so that an image that is returned to keeps it; RUN_WITH where it decides how its container runs, so that a way back to the previous image keeps "
        "it; or else TODAYS of this file"
    )


def image_of(settings: typed.Settings, **config: Any) -> dict[str, Any]:
    """Return what the Engine has of an image that the role built with these settings."""
    check = {"Interval": 90_000_000_000, "Timeout": 1_500_000, "StartPeriod": 2_000_000_000, "Retries": 7}
    whole = {
        "ExposedPorts": {f"{settings.port}/tcp": {}},
        "User": settings.user,
        "Healthcheck": {"Test": ["CMD", *settings.health_test], **check},
        "Labels": {"org.opencontainers.image.base.name": settings.runtime_image},
    }
    return {"Id": "sha256:1", "Config": {**whole, **config}}


def asked(settings: typed.Settings) -> Expected:
    """Return what the contract asks by settings."""
    return Expected.from_settings(settings)


def test_the_configuration_of_an_image_tells_what_it_was_built_with(settings: Settings) -> None:
    """An earlier version of the role kept nothing else."""
    found = asked(earlier.as_proven(settings(image_tag="1", **NOW), image_of(settings(**THEN)), KNOWN))
    then = asked(settings(image_tag="1", **THEN))
    fields = (
        "port",
        "health_test",
        "health_interval",
        "health_timeout",
        "health_start_period",
        "health_retries",
        "user",
        "uid",
        "base_name",
    )
    assert {name: getattr(found, name) for name in fields} == {name: getattr(then, name) for name in fields}
    assert found.memory == asked(settings(**NOW)).memory


def test_a_user_with_a_number_is_told_by_it(settings: Settings) -> None:
    found = earlier.as_proven(settings(image_tag="1"), image_of(settings(**THEN), User="10001"), KNOWN)
    assert (found.uid, found.numeric_user) == (10001, True)
    found = earlier.as_proven(settings(image_tag="1", uid=12, numeric_user=True), image_of(settings(**THEN)), KNOWN)
    assert (found.user, found.uid, found.numeric_user) == ("app", None, False)


def test_what_was_asked_of_an_image_is_kept_and_no_budget_stops_it(settings: Settings) -> None:
    kept = earlier.built_with(settings(**THEN, budget={"image_mb": 90}, waivers={"file-setuid": "Then."}, packages=["tzdata"]))
    now = settings(image_tag="1", **NOW, budget={"image_mb": 1}, waivers={"user-uid": "Now."})
    found = earlier.as_proven(now, image_of(settings(**THEN)), {**KNOWN, "with": kept})
    assert (found.budget.image_mb, found.waivers, found.packages) == (
        90,
        {"file-setuid": "Then.", "user-uid": "Now."},
        ("tzdata",),
    )
    assert set(found.budget_warn_only) == set(typed.BUDGETS)


def test_the_previous_image_runs_as_it_ran_and_one_asked_for_by_its_tag_as_today(settings: Settings) -> None:
    kept = earlier.ran_with(settings(args=["--then"], memory="128m", read_only=False, tmpfs={"/scratch": "1m"}))
    today = {"args": ["--now"], "memory": "16m"}
    back = earlier.as_proven(settings(image_tag="previous", **today), image_of(settings()), {**KNOWN, "ran": kept})
    assert (back.args, back.memory, back.read_only, list(back.tmpfs)) == (("--then",), 128 << 20, False, ["/scratch"])
    pinned = earlier.as_proven(settings(image_tag="1", **today), image_of(settings()), {**KNOWN, "ran": kept})
    assert (pinned.args, pinned.memory, pinned.read_only) == (("--now",), 16 << 20, True)


@pytest.mark.parametrize(
    ("tag", "known"),
    [("", KNOWN), ("1", {}), ("1", {**KNOWN, "proven": False}), ("1", {**KNOWN, "id": "sha256:2"})],
    ids=["not asked for by its tag", "unknown", "never proven", "built anew under its tag"],
)
def test_any_other_image_is_judged_by_the_variables(settings: Settings, tag: str, known: dict[str, Any]) -> None:
    now = settings(image_tag=tag, **NOW)
    assert earlier.as_proven(now, image_of(settings(**THEN)), known) == now
