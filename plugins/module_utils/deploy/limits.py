"""Which limits an Engine cannot hold, and which of its limits a running container was held back by, as its kernel counts it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..common.settings import Settings

# The checks of the contract that are asked of each limit.
_CHECKS = {"memory": "runtime-memory-limit", "cpus": "runtime-cpu-limit", "pids_limit": "runtime-pids-limit"}
_ENABLE = (
    "add cgroup_enable=memory to the command line of its kernel, mount the control groups, or, of a rootless Engine, use their version 2 and have "
    "systemd delegate them (Delegate=cpu memory pids); restart the Engine then"
)


def not_held(settings: Settings, variables: Iterable[str]) -> str:
    """Return what a person is told of limits that the Engine's kernel has no controller for, "" where each of them is waived or none is left."""
    left = [variable for variable in variables if _CHECKS[variable] not in settings.waivers]
    if not left:
        return ""
    asked = ", ".join(f"go_service_{variable} ({settings.written(variable)})" for variable in left)
    waivers = ", ".join(f"{_CHECKS[variable]}: reason" for variable in left)
    return (
        f"The Engine cannot hold {asked}: its kernel has no controller for it (docker info). The service runs without. To have it held, {_ENABLE}; "
        f"to say that it is known, set go_service_waivers: {{{waivers}}}."
    )


def refused_processes(container: Mapping[str, Any], proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> int:
    """Return how often a container was refused a process or thread by its limit of them; 0 where the kernel of this machine does not tell."""
    with contextlib.suppress(OSError):
        pid = (container.get("State") or {}).get("Pid") or 0
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        if not pid or container["Id"] not in text:
            return 0
        # Of version 1 the controller has a tree of its own, of version 2 there is one tree (cgroups(7)).
        for tree, path in re.findall(r"^\d+:(pids|):(/.*)$", text, re.M):
            events = os.path.join(groups, tree, path.lstrip("/"), "pids.events")
            with contextlib.suppress(FileNotFoundError), open(events, encoding="utf-8") as stream:
                found = re.search(r"^max (\d+)$", stream.read(), re.M)
                if found:
                    return int(found[1])
    return 0
