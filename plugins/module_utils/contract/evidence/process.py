"""What the kernel and the Engine say about a running container."""

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


def in_namespace(number: int, text: str) -> int:
    """Translate a user or group id into the one in a container, which may have a user namespace; text: uid_map or gid_map of one of its processes.

    Each line has the first id there, the first id here, and how many ids (user_namespaces(7)). An id that is not mapped there is returned unchanged.
    """
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3 and all(field.isdigit() for field in fields):
            inside, outside, length = map(int, fields)
            if outside <= number < outside + length:
                return inside + number - outside
    return number


def memory_in_use(stats: dict[str, Any]) -> int | None:
    """The bytes that `docker stats` shows: usage without the cache that the kernel can free at once.

    total_inactive_file is cgroup v1's name and inactive_file cgroup v2's (docker/cli, stats_helpers.go).
    """
    memory = stats.get("memory_stats") or {}
    if not memory.get("usage"):
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return memory["usage"] - cache if cache < memory["usage"] else memory["usage"]


def _read(path: str) -> str:
    """Return what the kernel has there, "" if it has nothing."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
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
        if facts is None:
            return None
        users, groups = (_read(f"{proc}/{pid}/{name}") for name in ("uid_map", "gid_map"))
        return replace(
            facts,
            uid=in_namespace(facts.uid, users),
            gid=in_namespace(facts.gid, groups),
            groups=tuple(in_namespace(group, groups) for group in facts.groups),
            confinement=_read(f"{proc}/{pid}/attr/current").strip("\0\n "),
        )
    return None
