"""What is told of a machine at the end of its provisioning: a few lines, and under them what is limited there and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# The first line of releases of the Engine that its maker still mends: https://github.com/moby/moby/blob/master/project/BRANCHES-AND-TAGS.md
MENDED_FROM = 23
# From this release on the Engine shows a container as healthy as soon as it is.
START_INTERVAL_FROM = 25
# Free space under which a first build may fail, in bytes.
TIGHT = 3_000_000_000
CONTROLLERS = {"memory": "memory", "cpus": "processor time", "pids_limit": "the number of processes"}


def report(machine: Mapping[str, Any], asked: Mapping[str, Any] | None = None, notes: Sequence[str] = ()) -> list[str]:
    """Return the lines; machine: what the module machine_info returns; asked: `source` and `version` of docker_engine's variables; notes: lines of others."""
    if machine.get("problem"):
        return [f"No Engine: {machine['problem']}"]
    engine, system, space, origin = (machine.get(key) or {} for key in ("engine", "system", "space", "origin"))
    lines = {
        "Engine": f"{engine['version']}{_from(origin)}{_whose(machine, origin)}",
        "Storage": f"{engine['storage_driver']} in {engine['root']}"
        + (f", {_size(space['free_bytes'])} of {_size(space['size_bytes'])} free" if space else ""),
        "Control groups": f"version {engine['cgroup_version'] or 'unknown'}, by {engine['cgroup_driver']}",
        "Confined by": ", ".join([*machine.get("security_modules", ()), *(["seccomp"] if engine["seccomp"] else [])]) or "nothing",
        "Machine": f"{system['name']}, kernel {system['kernel']}, {system['architecture']}, {system['cpus']} processors, {_size(system['memory_bytes'])} memory",
    }
    told = [f"{title + ':':15} {text}" for title, text in lines.items()]
    limited = [*_limited(machine, asked or {}), *notes]
    return [*told, "Limited:", *(f"  - {line}" for line in limited)] if limited else [*told, "Limited:        nothing"]


def _from(origin: Mapping[str, str]) -> str:
    if not origin.get("source"):
        return ""
    package = f" ({origin['package']} {origin['package_version']})".replace(" )", ")") if origin["package"] else ""
    return f" from {origin['source']}{package}"


def _whose(machine: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    if not origin:
        return f", at {machine['engine']['address']}"
    return ", brought up by this role" if machine.get("record") else ", which was there already"


def _limited(machine: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    engine, origin, system = machine["engine"], machine.get("origin") or {}, machine["system"]
    release = major(engine["version"])
    other = _other_source(origin, asked, engine["version"])
    if other:
        yield other
    if release and release < MENDED_FROM:
        yield (
            f"Engine {engine['version']}: its maker has mended no fault of this line for years, security included (maintained are the lines from {MENDED_FROM} on)."
            " Take Docker's packages (docker_engine_source: docker), or a newer release of the system."
            + (f" First remove {origin['package']}: images and volumes stay." if origin.get("package") else "")
        )
    if release and release < START_INTERVAL_FROM:
        yield (
            f"docker ps shows a new container as starting until its first interval is over, since Engine {engine['version']} has no start interval"
            f" (from {START_INTERVAL_FROM} on)."
        )
    for variable in machine.get("limits_not_held") or ():
        yield (
            f"The Engine cannot hold limits of {CONTROLLERS.get(variable, variable)} (go_service_{variable}): the kernel gives it no controller for that."
            f" Mount the control groups (/sys/fs/cgroup), or start the machine with them."
        )
    if not machine.get("security_modules") and not engine["rootless"] and origin:
        yield "No AppArmor and no SELinux in the kernel: containers are held by capabilities, namespaces and seccomp."
    if not engine["seccomp"]:
        yield "The Engine filters no system calls (seccomp), so a container may use all that the kernel knows."
    if engine["storage_driver"] == "vfs":
        yield "The storage driver vfs copies each layer whole: builds are slow and take much room. A file system on which overlay2 works mends it."
    free = (machine.get("space") or {}).get("free_bytes", TIGHT)
    if free < TIGHT:
        yield f"{_size(free)} are free in {engine['root']}, and a first build takes up to {_size(TIGHT)}: docker system df tells what takes the room."
    if not system["init"] and origin:
        yield "No init system starts the Engine here: after a restart of the machine run the role again."
    for line in machine.get("warnings") or ():
        yield f"{line} (the Engine's own words)."


def _other_source(origin: Mapping[str, str], asked: Mapping[str, Any], version: str) -> str:
    """Return that another Engine was asked for than the one that serves, and what to do; "" where it is the one."""
    source, pinned, package = asked.get("source"), str(asked.get("version") or ""), origin.get("package", "")
    if source == "docker" and package and package != "docker-ce":
        return (
            f"docker_engine_source is docker, and the Engine that serves is of {package}. It stays: nothing is installed over it. To change over, remove"
            f" {package} (images, containers and volumes stay in /var/lib/docker) and run again."
        )
    if pinned and package == "docker-ce" and not re.match(rf"{re.escape(pinned)}(?![0-9])", version):
        return (
            f"docker_engine_version is {pinned}, and Engine {version} serves. It stays: an Engine that serves is not replaced."
            f" To change over, install it (apt-get install docker-ce=5:{pinned}-*), or remove docker-ce and run again."
        )
    return ""


def major(version: str) -> int:
    """Return the first number of a release, 0 where there is none."""
    found = re.match(r"(\d+)\.", version)
    return int(found[1]) if found else 0


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
