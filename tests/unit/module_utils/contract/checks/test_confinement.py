"""What holds the service in: filter of system calls, profile, file system."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import confinement
from violations import GOOD, Violation, assert_all_provoked, assert_caught, in_container, with_process, with_verdict

VIOLATIONS: dict[str, Violation] = {
    "no seccomp": (
        lambda: in_container(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]),
        {},
        {"runtime-seccomp"},
        "no seccomp filter",
    ),
    "no seccomp by the kernel": (lambda: with_process(seccomp=0), {}, {"runtime-seccomp"}, ""),
    "no AppArmor": (
        lambda: replace(GOOD, container={**samples.container_record(), "AppArmorProfile": "unconfined"}),
        {},
        {"runtime-lsm"},
        "unconfined",
    ),
    "no AppArmor by the kernel": (
        lambda: with_process(confinement="unconfined"),
        {},
        {"runtime-lsm"},
        "confines the container with no profile",
    ),
    "AppArmor that only complains": (
        lambda: with_process(confinement="docker-default (complain)"),
        {},
        {"runtime-lsm"},
        "confines the container with no profile",
    ),
    "no SELinux by the kernel": (
        lambda: replace(
            with_process(confinement="system_u:system_r:spc_t:s0"),
            engine=replace(GOOD.engine, security_options=("name=seccomp", "name=selinux")),
        ),
        {},
        {"runtime-lsm"},
        "confines the container with no label",
    ),
    "no SELinux": (
        lambda: replace(GOOD, engine=replace(GOOD.engine, security_options=("name=seccomp", "name=selinux"))),
        {},
        {"runtime-lsm"},
        "no SELinux label",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(confinement.GROUP, VIOLATIONS, "runtime-read-only")


def test_writable_root():
    """A writable root file system fails, and then the owned binary is a warning."""
    found = in_container(ReadonlyRootfs=False)
    assert with_verdict("fail", found) == {"runtime-read-only"}
    assert with_verdict("warn", found) == {"files-binary-writable"}
