"""Checks of what confines the running container: a filter of system calls, a profile, its own file system."""

from __future__ import annotations

from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_container, passed, skipped

GROUP = Group("runtime")

_SECCOMP_FILTER = 2
# Types that SELinux does not confine (container-selinux).
_UNCONFINED_DOMAINS = ("spc_t", "unconfined_t", "unconfined_service_t", "kernel_t")


@GROUP.check(
    "runtime-seccomp",
    "System call filter",
    severity="high",
    remedy="Create the container without seccomp=unconfined, on an Engine with seccomp.",
    rules=("CIS 5.22", "OWASP #6"),
)
@needs_container
def runtime_seccomp(evidence: Evidence, _expected: Expected) -> Outcome:
    """The kernel shows a seccomp filter for the container's first process."""
    if evidence.process:
        on = evidence.process.seccomp == _SECCOMP_FILTER
    else:
        options = evidence.host_config.get("SecurityOpt") or []
        offered = any("seccomp" in option for option in evidence.engine.security_options)
        on = offered and not any(option.replace(":", "=") == "seccomp=unconfined" for option in options)
    if not on:
        return failed("off", "on", "no seccomp filter is in force")
    return passed("on", "on")


@GROUP.check(
    "runtime-lsm",
    "AppArmor or SELinux",
    severity="medium",
    remedy="Create the container without apparmor=unconfined and label=disable.",
    rules=("CIS 5.2", "CIS 5.3", "OWASP #6"),
)
@needs_container
def runtime_lsm(evidence: Evidence, _expected: Expected) -> Outcome:
    """Where the Engine has AppArmor or SELinux, the kernel shows a profile that is enforced, or a label, for the container's
    first process. Where the kernel's record is out of reach, the container's configuration is judged. A host without both
    is a skip."""
    container = evidence.container or {}
    options = [option.replace(":", "=") for option in evidence.host_config.get("SecurityOpt") or ()]
    offered = [name for name in ("apparmor", "selinux") if any(name in option for option in evidence.engine.security_options)]
    if not offered:
        return skipped("the host has neither AppArmor nor SELinux")
    held = evidence.process.confinement if evidence.process else ""
    if "apparmor" in offered and held:
        if not held.endswith("(enforce)"):
            return failed(f"AppArmor {held}", "a profile", "the kernel confines the container with no profile")
        return passed(f"AppArmor {held}", "a profile")
    if "apparmor" in offered:
        profile = container.get("AppArmorProfile") or ""
        if profile in ("", "unconfined") or "apparmor=unconfined" in options:
            return failed("AppArmor off", "a profile", "the container runs unconfined")
        return passed(f"AppArmor {profile}", "a profile")
    if held:
        if any(f":{domain}:" in f":{held}:" for domain in _UNCONFINED_DOMAINS):
            return failed(f"SELinux {held}", "a label", "the kernel confines the container with no label of its own")
        return passed(f"SELinux {held}", "a label")
    if "label=disable" in options or not container.get("ProcessLabel"):
        return failed("SELinux off", "a label", "the container has no SELinux label")
    return passed("SELinux label", "a label")


@GROUP.check(
    "runtime-read-only",
    "Root file system",
    severity="high",
    remedy="Set go_service_read_only: true and give the service its scratch space by go_service_tmpfs or "
    "go_service_volumes, "
    "or name the reason in go_service_waivers.",
    rules=("CIS 5.13", "OWASP #8"),
)
@needs_container
def runtime_read_only(evidence: Evidence, _expected: Expected) -> Outcome:
    """The container was created with a read-only root file system."""
    if not evidence.host_config.get("ReadonlyRootfs"):
        return failed("writable", "read-only", "the service may change its own file system")
    return passed("read-only", "read-only")
