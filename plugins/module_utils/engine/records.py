"""What the Engine's records mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# The limits of a container by their variables, and the entry of the Engine's system record that tells whether its kernel has a controller for each.
_LIMITS = {"memory": "MemoryLimit", "cpus": "CpuCfsQuota", "pids_limit": "PidsLimit"}
# What is kept about an image, by the names of `GET /images/json`.
_IMAGE_KEYS = ("Id", "RepoTags", "RepoDigests")
# The proxies of the daemon, by their variables and by what `GET /info` calls them.
_PROXIES = {"http_proxy": "HttpProxy", "https_proxy": "HttpsProxy", "no_proxy": "NoProxy"}


def named(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of a listed image: its id, its tags and its digests."""
    return {key: image.get(key) for key in _IMAGE_KEYS}


def layers(image: Mapping[str, Any]) -> list[str]:
    """Return the digests of an image's layers, the lowest first; image: its record."""
    return list((image.get("RootFS") or {}).get("Layers") or ())


def describe(version: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what users of the role need from the answers to `GET /version` and `GET /info`.

    Args:
        version: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemVersion
        info: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo

    Returns:
        `server`, as module engine_info documents it.
    """
    return {
        "version": version.get("Version", ""),
        "api_version": version.get("ApiVersion", ""),
        "min_api_version": version.get("MinAPIVersion", ""),
        "storage_driver": info.get("Driver", ""),
        "containerd_store": containerd_store(info),
        "os": version.get("Os", ""),
        "operating_system": info.get("OperatingSystem", ""),
        "architecture": info.get("Architecture", ""),
        "kernel_version": version.get("KernelVersion", ""),
        "cgroup_version": info.get("CgroupVersion", ""),
        "cgroup_driver": info.get("CgroupDriver", ""),
        "cpus": info.get("NCPU", 0),
        "memory_bytes": info.get("MemTotal", 0),
        "rootless": rootless(info),
        "live_restore": bool(info.get("LiveRestoreEnabled", False)),
        "proxies": {name: hidden_user(info.get(key) or "") for name, key in _PROXIES.items()},
    }


def hidden_user(proxy: str) -> str:
    """Return an address without user and password, which newer Engines hide, but older ones show."""
    return re.sub(r"//[^/@]*@", "//", proxy)


def rootless(info: Mapping[str, Any]) -> bool:
    """Say whether an Engine runs without root."""
    return "name=rootless" in (info.get("SecurityOptions") or [])


def limits_not_held(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the limits that an Engine cannot hold, by their variables; info: its system record. A limit that the record does not mention can be held."""
    return tuple(variable for variable, known in _LIMITS.items() if info.get(known) is False)


def containerd_store(info: Mapping[str, Any]) -> bool:
    """Say whether an Engine keeps its images in containerd's store: an image has another id there than in the classic one."""
    return str(dict(info.get("DriverStatus") or []).get("driver-type", "")).startswith("io.containerd.snapshotter")


def remapped(info: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the ids on the host to which an Engine maps user and group 0 of its containers (userns-remap), None if it does not map them or does not
    tell. The Engine's directory is named after these ids."""
    options = info.get("SecurityOptions") or ()
    found = re.search(r"/(\d+)\.(\d+)\Z", str(info.get("DockerRootDir") or ""))
    return (int(found[1]), int(found[2])) if found and any("name=userns" in option for option in options) else None


def mounted_at(cache: Mapping[str, Any], *directories: str) -> bool:
    """Say whether a directory that BuildKit keeps was mounted below one of these, each of which ends in a slash."""
    return (cache.get("Description") or "").startswith(tuple(f"cached mount {directory}" for directory in directories))


def parse_time(text: str) -> float:
    """Return the seconds since 1970 of a time as the Engine writes it (RFC 3339 with nanoseconds)."""
    match = re.match(r"\A(.*?)(\.[0-9]+)?(Z|[+-][0-9:]+)\Z", text)
    if not match:
        raise ValueError(f"not a time of the Engine: {text!r}")
    seconds = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).timestamp()
    return seconds + float(match[2] or 0)


def health(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the health record of an inspected container, empty if it has no health check."""
    return (container.get("State") or {}).get("Health") or {}


def health_test(image: Mapping[str, Any]) -> list[str] | None:
    """Return the command that an image's health check runs, None if it has none."""
    test = ((image.get("Config") or {}).get("Healthcheck") or {}).get("Test") or []
    if len(test) < 2 or test[0] == "NONE":
        return None
    return ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else list(test[1:])
