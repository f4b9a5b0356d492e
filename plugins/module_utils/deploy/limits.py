"""Which of its limits a running container was held back by, as its kernel counts it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Any


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
