"""The body that a container is created from: its hardening, its hash, and what a look at the real one tells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import names as common_names
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container as containers
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import RUNTIME
from samples import Settings

# The last API of an Engine that knows no interval at the start, and the first of one that does.
OLD, NEW = (1, 43), (1, 44)


def test_the_hardening_of_the_defaults(settings: Settings) -> None:
    body = containers.create_body(settings(), "cat-server:3f2a91c07b6e", OLD)
    assert body == {
        "Image": "cat-server:3f2a91c07b6e",
        "Cmd": None,
        "Env": [],
        "StopTimeout": 10,
        "Labels": {
            "go-service.name": "cat-server",
            "go-service.kind": "service",
            "go-service.config": containers.config_hash(body),
        },
        "ExposedPorts": {"8080/tcp": {}},
        "HostConfig": {
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": [],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": 128,
            "Memory": 256 << 20,
            "MemorySwap": 256 << 20,
            "NanoCpus": 1_000_000_000,
            "Tmpfs": {"/tmp": "size=16m,mode=1777,noexec,nosuid,nodev"},
            "Binds": [],
            "NetworkMode": "bridge",
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        },
    }


@pytest.mark.parametrize(
    ("publish", "bindings"),
    [
        ("", None),
        ("8080", [{"HostIp": "0.0.0.0", "HostPort": "8080"}]),
        ("[::1]:443", [{"HostIp": "::1", "HostPort": "443"}]),
    ],
)
def test_published_ports(settings: Settings, publish: str, bindings: Any) -> None:
    host = containers.create_body(settings(publish=publish, port=9000), RUNTIME, OLD)["HostConfig"]
    assert host.get("PortBindings") == (bindings and {"9000/tcp": bindings})


def test_a_start_interval_where_the_engine_knows_it(settings: Settings) -> None:
    assert "Healthcheck" not in containers.create_body(settings(), RUNTIME, OLD)
    check = containers.create_body(settings(health_interval="1m30s"), RUNTIME, NEW)["Healthcheck"]
    assert check == {
        "Interval": 90 * 10**9,
        "Timeout": 3 * 10**9,
        "Retries": 3,
        "StartPeriod": 5 * 10**9,
        "StartInterval": 10**9,
    }


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_candidate_is_the_service_without_port_and_restarts(settings: Settings, version: tuple[int, int]) -> None:
    wanted = settings(args=["-x"], env={"A": "b"}, volumes=["/srv:/srv:ro"], memory="64m", labels={"team": "x"})
    service = containers.create_body(wanted, RUNTIME, version)
    candidate = containers.candidate_body(wanted, RUNTIME, version)
    assert "PortBindings" not in candidate["HostConfig"]
    assert candidate["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert candidate["Labels"][common_names.LABEL_KIND] == "candidate"
    assert candidate["Healthcheck"]["Interval"] == containers.CANDIDATE_INTERVAL
    assert candidate["Healthcheck"].get("StartInterval") == {OLD: None, NEW: containers.CANDIDATE_INTERVAL}[version]
    differing = {"HostConfig", "Labels", "Healthcheck"}
    assert {key: value for key, value in candidate.items() if key not in differing} == {
        key: value for key, value in service.items() if key not in differing
    }
    changed = {"PortBindings", "RestartPolicy"}
    assert {key: value for key, value in candidate["HostConfig"].items() if key not in changed} == {
        key: value for key, value in service["HostConfig"].items() if key not in changed
    }


def test_own_labels_cannot_be_overwritten(settings: Settings) -> None:
    mine = {common_names.LABEL_NAME: "x", common_names.LABEL_KIND: "y", common_names.LABEL_CONFIG: "z"}
    # The check of the variables refuses them before.
    labels = containers.create_body(replace(settings(), labels=mine), RUNTIME, OLD)["Labels"]
    assert (labels[common_names.LABEL_NAME], labels[common_names.LABEL_KIND]) == ("cat-server", "service")
    assert labels[common_names.LABEL_CONFIG] != "z"


def config_hash(settings: typed.Settings, image: str = RUNTIME) -> str:
    """Return the hash that the service's container is labelled with."""
    return containers.create_body(settings, image, OLD)["Labels"][common_names.LABEL_CONFIG]


@pytest.mark.parametrize(
    "change",
    [
        {"args": ["-v"]},
        {"env": {"A": "b"}},
        {"volumes": ["/srv:/srv:ro"]},
        {"labels": {"a": "b"}},
        {"port": 9000},
        {"publish": ""},
        {"network": "backend"},
        {"restart_policy": "always"},
        {"memory": "257m"},
        {"cpus": 0.5},
        {"pids_limit": 129},
        {"read_only": False},
        {"tmpfs": {}},
        {"cap_add": ["NET_RAW"]},
        {"cap_drop": ["NET_RAW"]},
        {"log_max_size": "1m"},
        {"log_max_file": 2},
        {"stop_timeout": 9},
    ],
    ids=str,
)
def test_the_hash_sees_every_setting_of_a_container(settings: Settings, change: dict[str, Any]) -> None:
    assert config_hash(settings(**change)) != config_hash(settings())


def test_the_hash_sees_the_image(settings: Settings) -> None:
    assert config_hash(settings(), "cat-server:1") != config_hash(settings(), "cat-server:2")


@pytest.mark.parametrize(
    "change",
    [
        {"keep_images": 9},
        {"start_timeout": 99},
        {"lock_timeout": 9},
        {"work_dir": "/x"},
        {"memory": "256M"},
        {"memory": "262144k"},
        {"publish": "127.0.0.1:08080"},
    ],
    ids=str,
)
def test_the_hash_does_not_see_what_leaves_a_container_as_it_is(settings: Settings, change: dict[str, Any]) -> None:
    assert config_hash(settings(**change)) == config_hash(settings())


def test_the_hash_outlives_the_way_to_the_target(settings: Settings) -> None:
    wanted = settings(cpus="1", env={"B": "1", "A": "2"})
    assert config_hash(wanted.from_json(json.loads(json.dumps(wanted.as_json())))) == config_hash(wanted)


# On the real Engine


@pytest.mark.engine
def test_a_real_container_has_all_of_it_and_a_later_change_shows(engine: Engine, client: Callable[..., str], settings: Settings) -> None:
    wanted = settings(
        name="utest-drift", args=["sleep", "60"], publish="127.0.0.1:58080", memory="64m", cpus=0.5, tmpfs={"/run": "size=1m"}
    )
    body = containers.create_body(wanted, RUNTIME, engine.api_version)
    made = engine.create("utest-drift", body)
    found = engine.container(made)
    assert containers.drift(body, found) == []
    host = found["HostConfig"]
    assert {key: host[key] for key in ("ReadonlyRootfs", "SecurityOpt", "CapDrop", "Tmpfs")} == {
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "CapDrop": ["ALL"],
        "Tmpfs": {"/run": "size=1m"},
    }
    assert found["Config"]["Labels"][common_names.LABEL_CONFIG] == containers.config_hash(body)

    client("update", "--memory", "32m", "--memory-swap", "32m", "--restart", "no", "--pids-limit", "64", made)
    assert containers.drift(body, engine.container(made)) == [
        "PidsLimit 64 instead of 128",
        f"Memory {32 << 20} instead of {64 << 20}",
        'RestartPolicy {"Name": "no", "MaximumRetryCount": 0} instead of {"Name": "unless-stopped", "MaximumRetryCount": 0}',
    ]


def test_drift_without_published_ports(settings: Settings) -> None:
    body = containers.create_body(settings(publish=""), RUNTIME, OLD)
    inspected = {"HostConfig": {**body["HostConfig"], "PortBindings": {}}}
    assert containers.drift(body, inspected) == []
    inspected["HostConfig"]["PortBindings"] = {"8080/tcp": [{"HostIp": "", "HostPort": "1"}]}
    assert len(containers.drift(body, inspected)) == 1


def test_a_container_that_an_earlier_version_made_is_not_made_anew(settings: Settings) -> None:
    body, other = (container.create_body(settings(env={"PIN": pin}), "a:b", (1, 41)) for pin in ("4711", "4712"))
    # As that version made the label.
    labels = {name: value for name, value in body["Labels"].items() if name != "go-service.config"}
    made = hashlib.sha256(json.dumps({**body, "Labels": labels}, sort_keys=True).encode()).hexdigest()[:16]
    there = {"Config": {"Labels": {**labels, "go-service.config": made}}}
    assert container.is_made_by(body, there) and not container.is_made_by(other, there)
    # Without any secret value nothing else is hashed than it did.
    plain = container.create_body(settings(), "a:b", (1, 41))
    labels = {name: value for name, value in plain["Labels"].items() if name != "go-service.config"}
    assert (
        plain["Labels"]["go-service.config"]
        == hashlib.sha256(json.dumps({**plain, "Labels": labels}, sort_keys=True).encode()).hexdigest()[:16]
    )
