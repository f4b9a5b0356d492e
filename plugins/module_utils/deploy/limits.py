"""Which limits an Engine cannot hold, and how often a limit has refused something to a running container, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..common.settings import Settings

# The check of the contract for each limit.
_CHECKS = {"memory": "runtime-memory-limit", "cpus": "runtime-cpu-limit", "pids_limit": "runtime-pids-limit"}
_ENABLE = (
    "add cgroup_enable=memory to the command line of its kernel, mount the control groups, or, for a rootless Engine, use their version 2 and let "
    "systemd delegate them (Delegate=cpu memory pids); then restart the Engine"
)


def not_held(settings: Settings, variables: Iterable[str]) -> str:
    """Return the message about limits for which the Engine's kernel has no controller, "" if there are none or if each of them is waived."""
    left = [variable for variable in variables if _CHECKS[variable] not in settings.waivers]
    if not left:
        return ""
    asked = ", ".join(f"go_service_{variable} ({settings.written(variable)})" for variable in left)
    waivers = ", ".join(f"{_CHECKS[variable]}: reason" for variable in left)
    return (
        f"The Engine cannot hold {asked}: its kernel has no cgroup controller for it (docker info). The service runs without this limit. To have it held, {_ENABLE}; "
        f"to accept this without further messages, set go_service_waivers: {{{waivers}}}."
    )


def refused_processes(container: Mapping[str, Any], proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> int:
    """Return how often a container was refused a process or thread by its limit of processes; 0 if the kernel of this machine does not tell."""
    with contextlib.suppress(OSError):
        pid = (container.get("State") or {}).get("Pid") or 0
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        if not pid or container["Id"] not in text:
            return 0
        # In version 1 each controller has its own tree, in version 2 there is one tree for all (cgroups(7)).
        for tree, path in re.findall(r"^\d+:(pids|):(/.*)$", text, re.M):
            events = os.path.join(groups, tree, path.lstrip("/"), "pids.events")
            with contextlib.suppress(FileNotFoundError), open(events, encoding="utf-8") as stream:
                found = re.search(r"^max (\d+)$", stream.read(), re.M)
                if found:
                    return int(found[1])
    return 0
