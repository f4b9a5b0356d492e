"""What of the host the service reaches: namespaces, sockets, mounts, devices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import host
from violations import GOOD, Violation, assert_all_provoked, assert_caught, in_container

VIOLATIONS: dict[str, Violation] = {
    "host network": (lambda: in_container(NetworkMode="host"), {"networks": ("host",)}, {"runtime-host-namespaces"}, "network"),
    "host processes": (lambda: in_container(PidMode="host", UTSMode="host"), {}, {"runtime-host-namespaces"}, "process, UTS"),
    "socket": (
        lambda: replace(
            GOOD,
            container={
                **samples.container_record(),
                "Mounts": [{"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/d.sock"}],
            },
        ),
        {},
        {"runtime-docker-socket"},
        "/var/run/docker.sock",
    ),
    "directory of the socket": (
        lambda: replace(
            GOOD,
            container={**samples.container_record(), "Mounts": [{"Type": "bind", "Source": "/run/", "Destination": "/r"}]},
        ),
        {},
        {"runtime-docker-socket", "runtime-mounts"},
        "/run/",
    ),
    "system directory": (
        lambda: replace(
            GOOD,
            container={**samples.container_record(), "Mounts": [{"Type": "bind", "Source": "/etc", "Destination": "/e"}]},
        ),
        {},
        {"runtime-mounts"},
        "/etc at /e",
    ),
    "shared mounts": (
        lambda: replace(
            GOOD,
            container={
                **samples.container_record(),
                "Mounts": [{"Type": "bind", "Source": "/data", "Destination": "/d", "Propagation": "rshared"}],
            },
        ),
        {},
        {"runtime-mounts"},
        "/d (shared)",
    ),
    "device": (lambda: in_container(Devices=[{"PathOnHost": "/dev/kvm"}]), {}, {"runtime-devices"}, "devices"),
    "secret file that is not mounted": (lambda: GOOD, {"secret_files": ("key",)}, {"runtime-secret-files"}, "/run/secrets/key is missing"),
    "secret file that can be written to": (
        lambda: replace(
            GOOD, container={**samples.container_record(), "Mounts": [{"Source": "/x", "Destination": "/run/secrets/key", "RW": True}]}
        ),
        {"secret_files": ("key",)},
        {"runtime-secret-files"},
        "can be written to",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(host.GROUP, VIOLATIONS)
