"""What is told of a machine at the end of its provisioning."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.machine import report

GOOD: dict[str, Any] = {
    "problem": "",
    "engine": {
        "version": "29.1.0",
        "address": "unix:///var/run/docker.sock",
        "storage_driver": "overlay2",
        "root": "/var/lib/docker",
        "cgroup_version": "2",
        "cgroup_driver": "systemd",
        "rootless": False,
        "seccomp": True,
        "live_restore": True,
    },
    "origin": {
        "program": "/usr/bin/dockerd",
        "package": "docker-ce",
        "package_version": "5:29.1.0-1~debian.13~trixie",
        "source": "Docker's repository",
    },
    "record": {"source": "docker"},
    "space": {"free_bytes": 50_000_000_000, "size_bytes": 100_000_000_000},
    "system": {
        "name": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.0",
        "architecture": "x86_64",
        "cpus": 4,
        "memory_bytes": 8_000_000_000,
        "init": "systemd",
    },
    "security_modules": ["apparmor"],
    "limits_not_held": [],
    "warnings": [],
}
DEBIAN_12 = {
    "engine": {"version": "20.10.24+dfsg1"},
    "origin": {"program": "/usr/sbin/dockerd", "package": "docker.io", "package_version": "20.10.24+dfsg1-1", "source": "the distribution"},
}
LIMITED = {
    "an Engine that its maker does not mend": (
        DEBIAN_12,
        ["not even security fixes", "docker_engine_source: docker", "First remove docker.io"],
    ),
    "an Engine without a start interval": ({"engine": {"version": "24.0.7"}}, ["Engine 24.0.7 has no start interval"]),
    "limits that cannot be held": (
        {"limits_not_held": ["memory", "pids_limit"]},
        ["limits of memory (go_service_memory)", "go_service_pids_limit"],
    ),
    "no security module": ({"security_modules": []}, ["neither AppArmor nor SELinux"]),
    "no seccomp": ({"engine": {"seccomp": False}}, ["does not filter system calls"]),
    "layers that are copied": ({"engine": {"storage_driver": "vfs"}}, ["vfs copies each layer"]),
    "little space": ({"space": {"free_bytes": 1_000_000_000, "size_bytes": 5_000_000_000}}, ["1.0 GB are free in /var/lib/docker"]),
    "no init system": ({"system": {"init": ""}}, ["run the role again"]),
    "the Engine's own words": ({"warnings": ["No swap limit support"]}, ["No swap limit support (a warning of the Engine itself)"]),
}


def machine(**changes: Any) -> dict[str, Any]:
    """Return a good machine but for these changes, key by key."""
    made = copy.deepcopy(GOOD)
    for name, change in changes.items():
        made[name] = {**made[name], **change} if isinstance(change, dict) and isinstance(made[name], dict) else change
    return made


def limits(lines: list[str]) -> list[str]:
    """Return what the report says is limited."""
    return [line.removeprefix("  - ") for line in lines if line.startswith("  - ")]


def test_a_good_machine_has_nothing_limited() -> None:
    assert report(GOOD) == [
        "Engine:         29.1.0 from Docker's repository (docker-ce 5:29.1.0-1~debian.13~trixie), brought up by this role",
        "Storage:        overlay2 in /var/lib/docker, 50.0 GB of 100.0 GB free",
        "Control groups: version 2, by systemd",
        "Confined by:    apparmor, seccomp",
        "Machine:        Debian GNU/Linux 13 (trixie), kernel 6.12.0, x86_64, 4 processors, 8.0 GB memory",
        "Limited:        nothing",
    ]


@pytest.mark.parametrize(("changes", "told"), LIMITED.values(), ids=LIMITED)
def test_what_is_limited_is_told_with_its_reason(changes: dict[str, Any], told: list[str]) -> None:
    found = " ".join(limits(report(machine(**changes))))
    assert [words for words in told if words not in found] == []


def test_an_engine_that_others_have_set_up_is_said_to_be_theirs() -> None:
    assert "which was there already" in report(machine(record=[]))[0]


def test_of_an_engine_elsewhere_nothing_of_this_machine_is_told() -> None:
    elsewhere = {**machine(engine={"address": "tcp://192.0.2.1:2376"}), "origin": {}, "record": {}, "space": {}, "security_modules": []}
    lines = report({**elsewhere, "system": {**GOOD["system"], "init": ""}})
    assert "at tcp://192.0.2.1:2376" in lines[0]
    assert "free" not in lines[1]
    assert lines[-1] == "Limited:        nothing"


@pytest.mark.parametrize(
    ("asked", "changes", "told"),
    [
        ({"source": "docker"}, {}, ""),
        ({"source": "distribution"}, {}, ""),
        ({"source": "docker"}, DEBIAN_12, "docker_engine_source is docker, but the running Engine comes from docker.io"),
        ({"source": "docker", "version": "29.1"}, {}, ""),
        ({"source": "docker", "version": "29.1.0"}, {}, ""),
        ({"source": "docker", "version": "28.5.2"}, {}, "docker_engine_version is 28.5.2, but Engine 29.1.0 runs"),
        ({"source": "docker", "version": "2"}, {}, "docker_engine_version is 2, but Engine 29.1.0 runs"),
    ],
)
def test_another_engine_than_the_one_asked_for_is_told_with_the_way_to_it(
    asked: dict[str, str], changes: dict[str, Any], told: str
) -> None:
    found = " ".join(
        line for line in limits(report(machine(**changes), asked)) if "docker_engine_" in line and "has got no fixes" not in line
    )
    assert told in found if told else found == ""


def test_no_engine_is_one_line() -> None:
    assert report({"problem": "nobody listens"}) == ["No Engine answers: nobody listens"]


def test_notes_of_others_come_last() -> None:
    assert limits(report(GOOD, notes=["a note"])) == ["a note"]
