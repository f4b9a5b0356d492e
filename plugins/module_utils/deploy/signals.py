"""Why a container was ended by a signal: its memory limit, lack of memory on the host, a request to the Engine, or an unknown cause."""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Mapping
from typing import Any

from ..engine.client import Engine

# Actions of klogctl(3).
_READ_ALL, _SIZE = 3, 10


def signal_name(number: int) -> str:
    """Return a signal's name: "SIGKILL"; "" if there is no such signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def kernel_log() -> list[str]:
    """Return the part of its log that the kernel of this host still has, by klogctl(3); nothing if this user may not read it."""
    with contextlib.suppress(AttributeError, OSError):
        klogctl = ctypes.CDLL(None).klogctl
        buffer = ctypes.create_string_buffer(max(klogctl(_SIZE, None, 0), 0))
        length = klogctl(_READ_ALL, buffer, len(buffer))
        return buffer.raw[: max(length, 0)].decode(errors="replace").splitlines()
    return []


def out_of_memory(container_id: str) -> str:
    """Return what the kernel says about a kill for lack of memory: "limit", "host", or "" if it says nothing about this container."""
    found = ""
    for line in kernel_log():
        if "oom-kill:" in line and container_id in line:
            _before, _key, group = line.partition("oom_memcg=")
            found = "limit" if container_id in group.partition(",")[0] else "host"
    return found


def who_ended(engine: Engine, container: Mapping[str, Any], code: int) -> tuple[str, str]:
    """Return (how a container was ended by a signal, what to do about it), ("", "") if it ended by itself. code: its exit code."""
    limit = container["HostConfig"]["Memory"] >> 20
    known = engine.happenings(container, "oom", "kill")
    cause = out_of_memory(container["Id"]) if code == 128 + signal.SIGKILL else ""
    if container["State"].get("OOMKilled") or cause == "limit" or any(event["Action"] == "oom" for event in known):
        return (
            f"it was killed by its memory limit of {limit} MiB (exit code {code})",
            "Raise go_service_memory, or make the service use less.",
        )
    if cause == "host":
        return (
            f"it was killed because the host ran out of memory (exit code {code})",
            "Give the host more memory, or stop something else on it.",
        )
    if known:
        number = int(known[-1]["Actor"]["Attributes"].get("signal") or signal.SIGKILL)
        return (
            f"it was ended through the Engine by signal {number} ({signal_name(number)}), as docker kill, stop and restart send it (exit code {code})",
            "Find out who ends containers on this host, then run again.",
        )
    name = signal_name(code - 128)
    if name == "SIGKILL":
        return (
            f"it was killed by signal 9 (SIGKILL, exit code {code}); it is not known by whom: the kernel, because of its memory limit of {limit} MiB or for "
            "lack of memory on the host, or a person or program on the host",
            "Look at the kernel's log (dmesg). If it was for lack of memory, raise go_service_memory or make the service use less; "
            "otherwise find out who kills processes on this host.",
        )
    return (f"it was ended by signal {code - 128} ({name}, exit code {code})" if name else ""), ""
