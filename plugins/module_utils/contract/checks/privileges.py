"""Checks of what the running container may do: privileges and capabilities."""

from __future__ import annotations

from typing import Any

from ...common.text import count, listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_container, passed

GROUP = Group("runtime")

# The bits of capabilities(7), in the order of linux/capability.h.
CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
# The capabilities that the Engine grants if none is dropped (moby, oci/caps/defaults.go).
_DEFAULT_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
)
# The only capability that Kubernetes' profile "Restricted" allows a container to add.
_HARMLESS_CAPABILITIES = ("NET_BIND_SERVICE",)


def capability_names(mask: int) -> list[str]:
    """The names of the capabilities in a mask of /proc/<pid>/status."""
    known = [name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1]
    return known + [f"bit {bit}" for bit in range(len(CAPABILITIES), mask.bit_length()) if mask >> bit & 1]


def _configured_capabilities(host: dict[str, Any]) -> set[str]:
    """The capabilities that a container is created with, from what was dropped and added."""
    dropped = {name.upper().removeprefix("CAP_") for name in host.get("CapDrop") or ()}
    added = {name.upper().removeprefix("CAP_") for name in host.get("CapAdd") or ()}
    if host.get("Privileged") or "ALL" in added:
        return set(CAPABILITIES) - dropped
    return ((set() if "ALL" in dropped else set(_DEFAULT_CAPABILITIES)) - dropped) | added


@GROUP.check(
    "runtime-privileged",
    "Privileged mode",
    severity="critical",
    remedy="Create the container with this role, which never sets it.",
    rules=("CIS 5.5", "OWASP #3"),
)
@needs_container
def runtime_privileged(evidence: Evidence, _expected: Expected) -> Outcome:
    """The container was not created with --privileged."""
    if evidence.host_config.get("Privileged"):
        return failed("privileged", "not privileged", "it has every capability and every device of the host")
    return passed("not privileged", "not privileged")


@GROUP.check(
    "runtime-capabilities",
    "Capabilities",
    severity="high",
    remedy="Set go_service_cap_drop: [ALL] and keep go_service_cap_add to NET_BIND_SERVICE, or name the reason in go_service_waivers.",
    rules=("CIS 5.4", "OWASP #3", "Kubernetes Restricted"),
)
@needs_container
def runtime_capabilities(evidence: Evidence, expected: Expected) -> Outcome:
    """The kernel's bounding and effective sets of the container's first process are empty, except for what
    go_service_cap_add names; of these, only NET_BIND_SERVICE passes. If the kernel's record cannot be read, the
    container's configuration is judged."""
    asked = [name.upper().removeprefix("CAP_") for name in expected.cap_add]
    limit = ", ".join(name for name in asked if name in _HARMLESS_CAPABILITIES) or "none"
    process = evidence.process
    if process:
        held = capability_names(process.bounding_capabilities | process.effective_capabilities)
    else:
        held = sorted(_configured_capabilities(evidence.host_config))
    open_ones = [name for name in held if name not in asked or name not in _HARMLESS_CAPABILITIES]
    measured = listed(held) or "none"
    if open_ones:
        return failed(measured, limit, f"{count(len(open_ones), 'capability', 'capabilities')} beyond what a service needs")
    return passed(measured, limit, "" if process else "by the container's configuration; the kernel's record cannot be read")


@GROUP.check(
    "runtime-no-new-privileges",
    "No new privileges",
    severity="high",
    remedy="Create the container with this role, which sets no-new-privileges.",
    rules=("CIS 5.26", "OWASP #4"),
)
@needs_container
def runtime_no_new_privileges(evidence: Evidence, _expected: Expected) -> Outcome:
    """The kernel shows NoNewPrivs for the container's first process; then setuid files give no further privileges."""
    options = evidence.host_config.get("SecurityOpt") or []
    configured = any(option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true") for option in options)
    on = evidence.process.no_new_privileges if evidence.process else configured
    if not on:
        return failed("off", "on", "no-new-privileges is not set")
    return passed("on", "on")
