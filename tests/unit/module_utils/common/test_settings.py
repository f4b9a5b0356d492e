"""Settings cross to the target as they are, and what is written of them has the bytes that it always had."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import text
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container
from ansible_collections.proven.go_service.plugins.plugin_utils import units

# Every variable that the Dockerfile, the container or the judgement depends on, none at its default.
OTHERS = {
    "health_interval": "1m30s",
    "health_timeout": "500ms",
    "health_start_period": "1h",
    "memory": "64m",
    "log_max_size": "1g",
    "publish": "[::1]:9000",
    "uid": 1234,
    "numeric_user": True,
    "cpus": "0.5",
    "env": {"A": "b"},
    "build_env": {"B": "c"},
    "build_args": {"D": "e"},
    "labels": {"team": "x"},
    "volumes": ["/srv:/srv:ro"],
    "start_timeout": 7.5,
    "version": "1.2.3",
    "packages": ["tzdata"],
    "budget": {"max_high": 0},
    "waivers": {"image-size": "x"},
    "cap_add": ["NET_RAW"],
    "tmpfs": {},
    "args": ["-x"],
}


@pytest.mark.parametrize(
    "changes", [{}, OTHERS, {"publish": "", "uid": "", "budget": {"image_mb": None}}], ids=["defaults", "others", "none"]
)
def test_settings_come_back_from_json_as_they_went(settings: Callable[..., Settings], changes: dict[str, Any]) -> None:
    there = settings(**changes)
    assert Settings.from_json(json.loads(json.dumps(there.as_json()))) == there


def test_settings_are_plain_data_on_their_way(settings: Callable[..., Settings]) -> None:
    sent = settings(**OTHERS).as_json()
    assert [sent[name] for name in ("health_interval", "health_timeout", "memory", "publish", "uid", "volumes")] == [
        90.0,
        0.5,
        64 << 20,
        {"address": "::1", "port": 9000},
        1234,
        ["/srv:/srv:ro"],
    ]


@pytest.mark.parametrize(
    ("changes", "hashes"),
    [
        ({}, ["d517721bab5318ef", "816f41e6a5baee88", "cd87ae501f634051", "9ad933391fbe30b1"]),
        (OTHERS, ["d50d781e0b3dcbcd", "3bed8f28801f4b60", "a8dae49df7617d72", "215d761c9c6d154f"]),
    ],
    ids=["defaults", "others"],
)
def test_services_that_run_are_not_made_anew(
    settings: Callable[..., Settings], generate: Callable[..., dict[str, str]], changes: dict[str, Any], hashes: list[str]
) -> None:
    """The hashes are those of the version that handed texts on; another means that every service is built, deployed or proven again."""
    wanted = settings(**changes)
    assert hashes == [
        hashlib.sha256(generate(**changes)["dockerfile"].encode()).hexdigest()[:16],
        container.config_hash(container.create_body(wanted, "a:b", (1, 44))),
        container.config_hash(container.candidate_body(wanted, "a:b", (1, 44))),
        wanted.demands[:16],
    ]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (30.0, "30s"),
        (90.0, "1m30s"),
        (60.0, "1m"),
        (3600.0, "1h"),
        (3601.5, "1h1.5s"),
        (0.5, "500ms"),
        (0.0015, "1.5ms"),
        (1.25, "1.25s"),
        (0.001, "1ms"),
    ],
)
def test_durations_are_written_as_docker_does(seconds: float, written: str) -> None:
    assert text.duration(seconds) == written
    assert units.parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("number", "base", "written"),
    [
        (64 << 20, 1024, "64m"),
        (1 << 30, 1024, "1g"),
        (1000, 1024, "1000"),
        (10**7, 1000, "10m"),
        (1_500_000, 1000, "1500k"),
        (1 << 50, 1024, "1048576g"),
    ],
)
def test_sizes_are_written_as_docker_does(number: int, base: int, written: str) -> None:
    assert text.size(number, base) == written
    assert units.parse_size(written, base) == number


def test_the_health_check_asks_where_the_service_answers(settings: Callable[..., Settings]) -> None:
    words = settings(health_host="127.0.0.1", port=9000, health_path="/up").health_test
    assert words == ("wget", "--no-verbose", "--tries=1", "--spider", "http://127.0.0.1:9000/up")


def test_the_contract_asks_for_another_judgement_where_its_demands_change(settings: Callable[..., Settings]) -> None:
    known = {"budget": {"image_mb": 50.0, "memory_mb": None}, "budget_warn_only": ["image_mb"], "waivers": {"image-size": "b"}}
    asked = settings(**known).demands
    assert settings(**{**known, "budget": {"memory_mb": None, "image_mb": 50.0}, "port": 1}).demands == asked
    others = [{"budget": {"image_mb": 51.0, "memory_mb": None}}, {"budget_warn_only": []}, {"waivers": {"image-size": "c"}}]
    assert len({asked, *(settings(**{**known, **other}).demands for other in others)}) == 4


@pytest.mark.parametrize(
    ("publish", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("192.0.2.1:80", "http://192.0.2.1:80"),
        ("", ""),
    ],
)
def test_the_address_at_which_a_person_on_the_host_asks(settings: Callable[..., Settings], publish: str, url: str) -> None:
    assert settings(publish=publish).url == url


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"publish": "0.0.0.0:80"}, "curl -fsS http://127.0.0.1:80/health"),
        ({"publish": "[::]:8080"}, "curl -fsS 'http://[::1]:8080/health'"),
        ({"health_path": "/a?b=c"}, "curl -fsS 'http://127.0.0.1:8080/a?b=c'"),
        ({"health_scheme": "https", "health_headers": {"X-A": "$b"}}, "curl -fsS -k -H 'X-A: $b' https://127.0.0.1:8080/health"),
        ({"health_command": ["/x", "a b"], "publish": ""}, "docker exec cat-server /x 'a b'"),
        ({"publish": ""}, ""),
    ],
)
def test_the_command_to_try(settings: Settings, changes: dict[str, Any], command: str) -> None:
    """It asks as the health check does, and is safe to paste."""
    assert settings(**changes).try_command("-fsS") == command


def test_a_value_is_written_as_a_user_writes_it(settings: Callable[..., Settings]) -> None:
    there = settings(publish="[::1]:80", health_interval="90s", memory="65536k", port=9000)
    assert [there.written(name) for name in ("publish", "health_interval", "memory", "port")] == ["[::1]:80", "1m30s", "64m", 9000]
    assert settings(publish="").written("publish") == ""
    assert there.written("uid") is None


def test_nothing_of_the_settings_can_be_changed_on_its_way(settings: Callable[..., Settings]) -> None:
    there = settings(publish="80", publish_more=["90:91"], files=[{"src": "a"}])
    for part, name in (
        (there, "port"),
        (there.publish, "port"),
        (there.publish_more[0], "port"),
        (there.files[0], "src"),
        (there.budget, "image_mb"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(part, name, getattr(part, name))
