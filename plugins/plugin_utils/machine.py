"""The report on a machine at the end of its provisioning: a few lines, and below them what is limited there and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# The first release line of the Engine that is still maintained: https://github.com/moby/moby/blob/master/project/BRANCHES-AND-TAGS.md
MENDED_FROM = 23
# From this release on, the Engine shows a container as healthy as soon as it is.
START_INTERVAL_FROM = 25
# With less free space than this, a first build may fail, in bytes.
TIGHT = 3_000_000_000
CONTROLLERS = {"memory": "memory", "cpus": "processor time", "pids_limit": "the number of processes"}


def report(machine: Mapping[str, Any], asked: Mapping[str, Any] | None = None, notes: Sequence[str] = ()) -> list[str]:
    """Return the lines; machine: what the module machine_info returns; asked: `source` and `version` of docker_engine's variables; notes: further lines."""
    if machine.get("problem"):
        return [f"No Engine answers: {machine['problem']}"]
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
            f"Engine {engine['version']}: this release line has got no fixes for years, not even security fixes (the lines from {MENDED_FROM} on are maintained)."
            " Use Docker's packages (docker_engine_source: docker), or a newer release of the system."
            + (f" First remove {origin['package']}: images and volumes stay." if origin.get("package") else "")
        )
    if release and release < START_INTERVAL_FROM:
        yield (
            f"docker ps shows a new container as starting until its first interval is over, since Engine {engine['version']} has no start interval"
            f" (Engines from {START_INTERVAL_FROM} on have one)."
        )
    for variable in machine.get("limits_not_held") or ():
        yield (
            f"The Engine cannot hold limits of {CONTROLLERS.get(variable, variable)} (go_service_{variable}): its kernel has no cgroup controller for that."
            f" Mount the control groups (/sys/fs/cgroup), or start the machine with them."
        )
    if not machine.get("security_modules") and not engine["rootless"] and origin:
        yield "The kernel has neither AppArmor nor SELinux: containers are confined only by capabilities, namespaces and seccomp."
    if not engine["seccomp"]:
        yield "The Engine does not filter system calls (seccomp), so a container may use all system calls of the kernel."
    if engine["storage_driver"] == "vfs":
        yield "The storage driver vfs copies each layer completely: builds are slow and take much space. Use a file system on which overlay2 works."
    free = (machine.get("space") or {}).get("free_bytes", TIGHT)
    if free < TIGHT:
        yield f"{_size(free)} are free in {engine['root']}, but a first build takes up to {_size(TIGHT)}: docker system df shows what uses the space."
    if not system["init"] and origin:
        yield "No init system starts the Engine here: run the role again after a restart of the machine."
    for line in machine.get("warnings") or ():
        yield f"{line} (a warning of the Engine itself)."


def _other_source(origin: Mapping[str, str], asked: Mapping[str, Any], version: str) -> str:
    """Return the message that the running Engine is not the one that was asked for, and what to do; "" if it is."""
    source, pinned, package = asked.get("source"), str(asked.get("version") or ""), origin.get("package", "")
    if source == "docker" and package and package != "docker-ce":
        return (
            f"docker_engine_source is docker, but the running Engine comes from {package}. It is kept: nothing is installed over it. To change, remove"
            f" {package} (images, containers and volumes stay in /var/lib/docker) and run again."
        )
    if pinned and package == "docker-ce" and not re.match(rf"{re.escape(pinned)}(?![0-9])", version):
        return (
            f"docker_engine_version is {pinned}, but Engine {version} runs. It is kept: a running Engine is not replaced."
            f" To change, install the other version (apt-get install docker-ce=5:{pinned}-*), or remove docker-ce and run again."
        )
    return ""


def major(version: str) -> int:
    """Return the first number of a release, 0 if there is none."""
    found = re.match(r"(\d+)\.", version)
    return int(found[1]) if found else 0


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
