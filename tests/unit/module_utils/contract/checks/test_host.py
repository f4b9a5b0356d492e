"""What of the host the service reaches: namespaces, sockets, mounts, devices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import host
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence.model import Evidence
from violations import GOOD, Violation, assert_all_provoked, assert_caught, in_container


def with_secrets(volume: str, **mount: Any) -> Evidence:
    """Return the evidence of a container with a volume at the place of secret files."""
    mounted = {"Type": "volume", "Name": volume, "Source": f"/v/{volume}", "Destination": "/run/secrets", "RW": False, **mount}
    return replace(GOOD, container={**samples.container_record(), "Mounts": [mounted]})


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
    "secret file that is not mounted": (lambda: GOOD, {"secret_files": ("key",)}, {"runtime-secret-files"}, "/run/secrets is missing"),
    "secret files that can be written to": (
        lambda: with_secrets("cat-server-secrets-1-2", RW=True),
        {"secret_files": ("key",)},
        {"runtime-secret-files"},
        "can be written to",
    ),
    "secret files of another service": (
        lambda: with_secrets("other-secrets-1-2"),
        {"secret_files": ("key",)},
        {"runtime-secret-files"},
        "no volume of this service's secrets",
    ),
    "secret files that nobody asked for": (
        lambda: with_secrets("cat-server-secrets-1-2"),
        {},
        {"runtime-secret-files"},
        "was not asked for",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(host.GROUP, VIOLATIONS)
