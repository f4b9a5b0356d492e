"""Checks of which parts of the host the running container can reach: namespaces, sockets, mounts, devices."""

from __future__ import annotations

import posixpath

from ...common.names import secrets_volume
from ...common.places import SECRETS
from ...common.text import count, listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_container, passed

GROUP = Group("runtime")

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


@GROUP.check(
    "runtime-host-namespaces",
    "Namespaces shared with the host",
    severity="high",
    remedy="Set go_service_network to a bridge network, or name the reason in go_service_waivers.",
    rules=("CIS 5.10", "CIS 5.16", "CIS 5.17", "CIS 5.21", "CIS 5.31"),
)
@needs_container
def runtime_host_namespaces(evidence: Evidence, _expected: Expected) -> Outcome:
    """Network, processes, IPC, host name and users are the container's own."""
    host = evidence.host_config
    shared = [name for key, name in _NAMESPACES.items() if host.get(key) == "host"]
    if shared:
        return failed(f"shared: {listed(shared)}", "none shared", f"the host's {listed(shared)} namespace is the container's too")
    return passed("none shared", "none shared")


@GROUP.check(
    "runtime-docker-socket",
    "Container engine sockets",
    severity="critical",
    remedy="Remove the socket from go_service_volumes: a program that can use it has the power of root on the host, also through a read-only mount.",
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
    remedy="Mount only the directory that the service needs with go_service_volumes, with :ro if the service only reads it.",
    rules=("CIS 5.6", "CIS 5.20"),
)
@needs_container
def runtime_mounts(evidence: Evidence, _expected: Expected) -> Outcome:
    """No mount comes from a system directory of the host, and none propagates mounts back to the host."""
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
    """At /run/secrets the volume with the files of go_service_secret_files is mounted read-only, and nothing else is mounted there or below."""
    mounts = (evidence.container or {}).get("Mounts") or []
    found = {mount["Destination"]: mount for mount in mounts if f"{mount.get('Destination')}/".startswith(f"{SECRETS}/")}
    wanted = {SECRETS} if expected.secret_files else set()
    measured, limit = (count(len(places), "mount") for places in (found, wanted))
    wrong = [f"{place} is missing" for place in sorted(wanted - set(found))]
    wrong += [f"{place} was not asked for" for place in sorted(set(found) - wanted)]
    wrong += [f"{place} can be written to" for place, mount in sorted(found.items()) if mount.get("RW")]
    if any(not secrets_volume(expected.service, found[place].get("Name") or "") for place in wanted & set(found)):
        wrong.append(f"{SECRETS} is no volume of this service's secrets")
    if wrong:
        return failed(measured, limit, listed(wrong))
    return passed(measured, limit)


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
    host = evidence.host_config
    found = [device.get("PathOnHost") or "" for device in host.get("Devices") or ()]
    found += list(host.get("DeviceCgroupRules") or ())
    if found:
        return failed(listed(found), "none", "the service reaches the host's devices")
    return passed("none", "none")
