"""What the kernel and the Engine tell of a running container."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from .model import ProcessFacts


def parse_process_status(text: str) -> ProcessFacts | None:
    """Read /proc/<pid>/status (proc(5)); None when it lacks what is looked for."""
    fields = {key: value.split() for key, _colon, value in (line.partition(":") for line in text.splitlines())}
    try:
        return ProcessFacts(
            uid=int(fields["Uid"][1]),
            gid=int(fields["Gid"][1]),
            groups=tuple(int(group) for group in fields["Groups"]),
            effective_capabilities=int(fields["CapEff"][0], 16),
            bounding_capabilities=int(fields["CapBnd"][0], 16),
            no_new_privileges=fields["NoNewPrivs"][0] == "1",
            seccomp=int(fields["Seccomp"][0]),
            resident=int(fields["VmRSS"][0]) * 1024 if fields.get("VmRSS") else 0,
        )
    except (KeyError, IndexError, ValueError):
        return None


def memory_in_use(stats: dict[str, Any]) -> int | None:
    """The bytes that `docker stats` shows: usage without the cache that the kernel would give back at once.

    total_inactive_file is cgroup v1's name and inactive_file cgroup v2's (docker/cli, stats_helpers.go).
    """
    memory = stats.get("memory_stats") or {}
    if not memory.get("usage"):
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return memory["usage"] - cache if cache < memory["usage"] else memory["usage"]


def _confinement(process: str) -> str:
    """Read a process's AppArmor profile or SELinux label; "" where the kernel has neither."""
    with contextlib.suppress(OSError), open(f"{process}/attr/current", encoding="utf-8", errors="replace") as stream:
        return stream.read().strip("\0\n ")
    return ""


def read_process(pid: int, container_id: str, proc: str = "/proc") -> ProcessFacts | None:
    """Read the record of a container's first process; None when the kernel of this machine does not run that
    container."""
    with contextlib.suppress(OSError):
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            if container_id not in stream.read():
                return None
        with open(f"{proc}/{pid}/status", encoding="utf-8", errors="replace") as stream:
            facts = parse_process_status(stream.read())
        return replace(facts, confinement=_confinement(f"{proc}/{pid}")) if facts else None
    return None
