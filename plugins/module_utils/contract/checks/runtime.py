"""Checks of the running container."""

from __future__ import annotations

import posixpath
from typing import Any

from ...common.places import SECRETS
from ...common.settings import Publication
from ...common.text import count, listed, megabytes
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_container, passed, skipped, warned

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
# What the Engine grants where nothing is dropped (moby, oci/caps/defaults.go).
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
# The one capability that Kubernetes' restricted profile lets a container add.
_HARMLESS_CAPABILITIES = ("NET_BIND_SERVICE",)
_SECCOMP_FILTER = 2
# What SELinux does not hold back (container-selinux).
_UNCONFINED_DOMAINS = ("spc_t", "unconfined_t", "unconfined_service_t", "kernel_t")
_SENSITIVE_MOUNTS = (
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/sys",
    "/usr",
    "/var/run",
    "/run",
    "/var/lib/docker",
    "/root",
)
_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
_NAMESPACES = {
    "NetworkMode": "network",
    "PidMode": "process",
    "IpcMode": "IPC",
    "UTSMode": "UTS",
    "UsernsMode": "user",
}
_WAIVE = "or name the reason in go_service_waivers"


def capability_names(mask: int) -> list[str]:
    """The names of the capabilities in a mask of /proc/<pid>/status."""
    known = [name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1]
    return known + [f"bit {bit}" for bit in range(len(CAPABILITIES), mask.bit_length()) if mask >> bit & 1]


def _host(evidence: Evidence) -> dict[str, Any]:
    return (evidence.container or {}).get("HostConfig") or {}


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
    if _host(evidence).get("Privileged"):
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
    go_service_cap_add names; of that, only NET_BIND_SERVICE passes. Where the kernel's record is out of reach, the
    container's configuration is judged."""
    asked = [name.upper().removeprefix("CAP_") for name in expected.cap_add]
    limit = ", ".join(name for name in asked if name in _HARMLESS_CAPABILITIES) or "none"
    process = evidence.process
    if process:
        held = capability_names(process.bounding_capabilities | process.effective_capabilities)
    else:
        held = sorted(_configured_capabilities(_host(evidence)))
    open_ones = [name for name in held if name not in asked or name not in _HARMLESS_CAPABILITIES]
    measured = listed(held) or "none"
    if open_ones:
        return failed(measured, limit, f"{count(len(open_ones), 'capability', 'capabilities')} beyond what a service needs")
    return passed(measured, limit, "" if process else "by the container's configuration; the kernel's record is out of reach")


@GROUP.check(
    "runtime-no-new-privileges",
    "No new privileges",
    severity="high",
    remedy="Create the container with this role, which sets no-new-privileges.",
    rules=("CIS 5.26", "OWASP #4"),
)
@needs_container
def runtime_no_new_privileges(evidence: Evidence, _expected: Expected) -> Outcome:
    """The kernel shows NoNewPrivs for the container's first process; setuid files then raise nothing."""
    options = _host(evidence).get("SecurityOpt") or []
    configured = any(option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true") for option in options)
    on = evidence.process.no_new_privileges if evidence.process else configured
    if not on:
        return failed("off", "on", "no-new-privileges is not set")
    return passed("on", "on")


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
        options = _host(evidence).get("SecurityOpt") or []
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
    options = [option.replace(":", "=") for option in _host(evidence).get("SecurityOpt") or ()]
    offered = [name for name in ("apparmor", "selinux") if any(name in option for option in evidence.engine.security_options)]
    if not offered:
        return skipped("the host has neither AppArmor nor SELinux")
    held = evidence.process.confinement if evidence.process else ""
    if "apparmor" in offered and held:
        if not held.endswith("(enforce)"):
            return failed(f"AppArmor {held}", "a profile", "the kernel does not hold the container to a profile")
        return passed(f"AppArmor {held}", "a profile")
    if "apparmor" in offered:
        profile = container.get("AppArmorProfile") or ""
        if profile in ("", "unconfined") or "apparmor=unconfined" in options:
            return failed("AppArmor off", "a profile", "the container runs unconfined")
        return passed(f"AppArmor {profile}", "a profile")
    if held:
        if any(f":{domain}:" in f":{held}:" for domain in _UNCONFINED_DOMAINS):
            return failed(f"SELinux {held}", "a label", "the kernel does not hold the container to a label of its own")
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
    if not _host(evidence).get("ReadonlyRootfs"):
        return failed("writable", "read-only", "the service may change its own file system")
    return passed("read-only", "read-only")


def _limited(actual: float, asked: float, shown: str, limit: str, variable: str) -> Outcome:
    if actual <= 0:
        return failed("no limit", limit, "there is no limit", f"Set {variable} and create the container again.")
    if actual != asked:
        return failed(shown, limit, "it is another limit than the one asked for", f"Create the container again, with {variable}.")
    return passed(shown, limit)


@GROUP.check(
    "runtime-pids-limit",
    "Process limit",
    severity="medium",
    remedy="Set go_service_pids_limit.",
    rules=("CIS 5.29", "OWASP #7"),
)
@needs_container
def runtime_pids_limit(evidence: Evidence, expected: Expected) -> Outcome:
    """The container's limit of processes is go_service_pids_limit."""
    actual = _host(evidence).get("PidsLimit") or 0
    return _limited(actual, expected.pids_limit, str(actual), str(expected.pids_limit), "go_service_pids_limit")


@GROUP.check(
    "runtime-memory-limit",
    "Memory limit",
    severity="medium",
    remedy="Set go_service_memory.",
    rules=("CIS 5.11", "OWASP #7"),
)
@needs_container
def runtime_memory_limit(evidence: Evidence, expected: Expected) -> Outcome:
    """The container's memory limit is go_service_memory."""
    actual = _host(evidence).get("Memory") or 0
    return _limited(actual, expected.memory, megabytes(actual), megabytes(expected.memory), "go_service_memory")


@GROUP.check(
    "runtime-cpu-limit",
    "Processor limit",
    severity="low",
    remedy="Set go_service_cpus.",
    rules=("CIS 5.12", "OWASP #7"),
)
@needs_container
def runtime_cpu_limit(evidence: Evidence, expected: Expected) -> Outcome:
    """The container's share of processor time is go_service_cpus."""
    actual = (_host(evidence).get("NanoCpus") or 0) / 1_000_000_000
    return _limited(actual, expected.cpus, f"{actual:g} CPUs", f"{expected.cpus:g} CPUs", "go_service_cpus")


@GROUP.check(
    "runtime-host-namespaces",
    "Namespaces shared with the host",
    severity="high",
    remedy=f"Set go_service_network to a bridge network, {_WAIVE}.",
    rules=("CIS 5.10", "CIS 5.16", "CIS 5.17", "CIS 5.21", "CIS 5.31"),
)
@needs_container
def runtime_host_namespaces(evidence: Evidence, _expected: Expected) -> Outcome:
    """Network, processes, IPC, host name and users are the container's own."""
    host = _host(evidence)
    shared = [name for key, name in _NAMESPACES.items() if host.get(key) == "host"]
    if shared:
        return failed(f"shared: {listed(shared)}", "none shared", f"the host's {listed(shared)} namespace is the container's too")
    return passed("none shared", "none shared")


@GROUP.check(
    "runtime-docker-socket",
    "Container engine sockets",
    severity="critical",
    remedy="Take the socket out of go_service_volumes: who can write to it is root on the host, also through a read-only mount.",
    rules=("CIS 5.32", "OWASP #1"),
)
@needs_container
def runtime_docker_socket(evidence: Evidence, _expected: Expected) -> Outcome:
    """No mount brings the socket of Docker, containerd, Podman or CRI-O, nor a directory that it lies in."""
    found = [
        mount.get("Source") or ""
        for mount in (evidence.container or {}).get("Mounts") or ()
        if posixpath.basename(mount.get("Source") or "") in _SOCKETS
        or posixpath.basename(mount.get("Destination") or "") in _SOCKETS
        or (mount.get("Source") or "").rstrip("/") in ("/run", "/var/run", "/run/docker", "/run/containerd")
    ]
    if found:
        return failed(listed(found), "none", f"{listed(found)} gives the service the host")
    return passed("none", "none")


@GROUP.check(
    "runtime-mounts",
    "Mounts from the host",
    severity="high",
    remedy="Mount the one directory the service needs by go_service_volumes, with :ro where it is only read.",
    rules=("CIS 5.6", "CIS 5.20"),
)
@needs_container
def runtime_mounts(evidence: Evidence, _expected: Expected) -> Outcome:
    """No mount comes from a system directory of the host, and none hands its own mounts back to the host."""
    mounts = (evidence.container or {}).get("Mounts") or []
    bad = [
        f"{mount['Source']} at {mount['Destination']}"
        for mount in mounts
        if mount.get("Type") == "bind" and (mount["Source"].rstrip("/") or "/") in _SENSITIVE_MOUNTS
    ]
    bad += [f"{mount['Destination']} (shared)" for mount in mounts if mount.get("Propagation") in ("shared", "rshared")]
    measured = count(len(mounts), "mount")
    if bad:
        return failed(measured, "none of a system directory", listed(bad))
    return passed(measured, "none of a system directory")


@GROUP.check(
    "runtime-secret-files",
    "Secrets as files",
    severity="high",
    remedy="Create the container with this role, which mounts them by go_service_secret_files.",
    rules=("OWASP #12",),
)
@needs_container
def runtime_secret_files(evidence: Evidence, expected: Expected) -> Outcome:
    """Below /run/secrets the files of go_service_secret_files are mounted, each by itself and read-only, and nothing else."""
    mounts = (evidence.container or {}).get("Mounts") or []
    found = {mount["Destination"]: mount for mount in mounts if f"{mount.get('Destination')}/".startswith(f"{SECRETS}/")}
    wanted = {posixpath.join(SECRETS, name) for name in expected.secret_files}
    limit = count(len(wanted), "file")
    wrong = [f"{place} is missing" for place in sorted(wanted - set(found))]
    wrong += [f"{place} was not asked for" for place in sorted(set(found) - wanted)]
    wrong += [f"{place} can be written to" for place, mount in sorted(found.items()) if mount.get("RW")]
    if wrong:
        return failed(count(len(found), "file"), limit, listed(wrong))
    return passed(count(len(found), "file"), limit)


@GROUP.check(
    "runtime-devices",
    "Devices from the host",
    severity="high",
    remedy="Create the container with this role, which passes no device.",
    rules=("CIS 5.18",),
)
@needs_container
def runtime_devices(evidence: Evidence, _expected: Expected) -> Outcome:
    """The container was given no device and no device rule."""
    host = _host(evidence)
    found = [device.get("PathOnHost") or "" for device in host.get("Devices") or ()]
    found += list(host.get("DeviceCgroupRules") or ())
    if found:
        return failed(listed(found), "none", "the service reaches the host's devices")
    return passed("none", "none")


@GROUP.check(
    "runtime-publish",
    "Published address",
    severity="high",
    remedy="Set go_service_publish to an address of one interface, like 127.0.0.1:8080, and run again.",
    rules=("CIS 5.9", "CIS 5.14", "OWASP #5a"),
)
@needs_container
def runtime_publish(evidence: Evidence, expected: Expected) -> Outcome:
    """What the container publishes is go_service_publish and go_service_publish_more, and nothing else. An address that stands for every interface is a
    warning: the Engine opens it past most host firewalls. Skipped for a candidate, which has no host port by design."""
    host = _host(evidence)
    actual = sorted(
        f"{_address(binding.get('HostIp') or '0.0.0.0')}:{binding.get('HostPort') or '?'} -> {port}"
        for port, bindings in (host.get("PortBindings") or {}).items()
        for binding in bindings or ()
    )
    measured = listed(actual) or "none"
    if host.get("PublishAllPorts"):
        return failed("all ports", "those that were asked for", "every exposed port is published")
    if expected.candidate and not actual:
        return skipped("a candidate has no host port by design; the service's own container is checked after the swap")
    asked = (*((Publication(expected.publish, expected.port),) if expected.publish else ()), *expected.publish_more)
    wanted = [] if expected.candidate else sorted(f"{published.endpoint} -> {published.port}/tcp" for published in asked)
    limit = listed(wanted) or "none"
    if actual != wanted:
        return failed(measured, limit, "other addresses are published than asked for")
    if any(published.endpoint.address in ("0.0.0.0", "::") for published in asked):
        return warned(measured, limit, "it is open on every interface of the host, also past most host firewalls")
    return passed(measured, limit)


@GROUP.check(
    "runtime-networks",
    "Networks",
    severity="medium",
    remedy="Set go_service_network and go_service_networks to what the service needs, and run again.",
    rules=("CIS 5.9",),
)
@needs_container
def runtime_networks(evidence: Evidence, expected: Expected) -> Outcome:
    """The container is in go_service_network and in those of go_service_networks, and in no other."""
    settings = (evidence.container or {}).get("NetworkSettings") or {}
    actual = sorted(settings.get("Networks") or [_host(evidence).get("NetworkMode") or ""])
    wanted = sorted(set(expected.networks))
    if actual != wanted:
        return failed(listed(actual), listed(wanted), "they are others than those that were asked for")
    return passed(listed(actual), listed(wanted))


def _address(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@GROUP.check(
    "runtime-restart-policy",
    "Restart policy",
    severity="low",
    remedy="Set go_service_restart_policy and run again.",
    rules=("CIS 5.15", "OWASP #7"),
)
@needs_container
def runtime_restart_policy(evidence: Evidence, expected: Expected) -> Outcome:
    """The container's restart policy is go_service_restart_policy. The benchmark wants on-failure with 5 attempts; the
    default, unless-stopped, brings a developer's service back after a reboot. Skipped for a candidate, which is never
    restarted."""
    if expected.candidate:
        return skipped("a candidate is never restarted by design; the service's own container is checked after the swap")
    actual = (_host(evidence).get("RestartPolicy") or {}).get("Name") or "no"
    if actual != expected.restart_policy:
        return failed(actual, expected.restart_policy, "it is another policy than the one asked for")
    return passed(actual, expected.restart_policy)
