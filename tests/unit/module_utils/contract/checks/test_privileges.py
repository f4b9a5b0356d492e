"""What the service may do beyond a plain process."""

from __future__ import annotations

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import privileges
from violations import Violation, assert_all_provoked, assert_caught, in_container, result, with_process

TWO_CAPABILITIES = 1 << 10 | 1 << 21

VIOLATIONS: dict[str, Violation] = {
    "privileged": (
        lambda: in_container(Privileged=True),
        {},
        {"runtime-privileged", "runtime-capabilities"},
        "every capability",
    ),
    "open capabilities": (lambda: in_container(CapDrop=[]), {}, {"runtime-capabilities"}, "14 capabilities"),
    "capabilities by the kernel": (
        lambda: with_process(bounding_capabilities=TWO_CAPABILITIES),
        {"cap_add": ("NET_BIND_SERVICE",)},
        {"runtime-capabilities"},
        "1 capability",
    ),
    "grave capability, asked for": (
        lambda: in_container(CapAdd=["CAP_SYS_ADMIN"]),
        {"cap_add": ("SYS_ADMIN",)},
        {"runtime-capabilities"},
        "1 capability",
    ),
    "new privileges": (lambda: in_container(SecurityOpt=[]), {}, {"runtime-no-new-privileges"}, "not set"),
    "new privileges by the kernel": (lambda: with_process(no_new_privileges=False), {}, {"runtime-no-new-privileges"}, ""),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(privileges.GROUP, VIOLATIONS)


def test_net_bind_service_passes():
    """The one capability that Kubernetes' restricted profile allows, where it was asked for."""
    asked = samples.expected(cap_add=("NET_BIND_SERVICE",))
    assert result("runtime-capabilities", with_process(bounding_capabilities=1 << 10), asked).verdict == "pass"
    assert result("runtime-capabilities", with_process(bounding_capabilities=1 << 10)).verdict == "fail"
