"""Checks of the limits of the running container."""

from __future__ import annotations

from collections.abc import Callable

from ...common.text import megabytes
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import CheckFunction, Group, Outcome, failed, needs_container, passed, skipped

GROUP = Group("runtime")

# The part of the kernel that holds each limit.
_CONTROLLERS = {"pids_limit": "controller of processes", "memory": "memory controller", "cpus": "controller of processor time"}


def _limit(about: str, setting: str, entry: str, shown: Callable[[float], str], unit: int = 1) -> CheckFunction:
    """Return the check that a limit is the one that was asked for.

    about: its description. setting: the variable, without the prefix. entry: its place in the container's HostConfig, which counts
    in parts of a unit. shown: how an amount is written.
    """
    variable = f"go_service_{setting}"

    def check(evidence: Evidence, expected: Expected) -> Outcome:
        actual, asked = (evidence.host_config.get(entry) or 0) / unit, getattr(expected, setting)
        if setting in evidence.engine.limits_not_held:
            return skipped(f"not applicable: this Engine has no {_CONTROLLERS[setting]}")
        if actual <= 0:
            return failed("no limit", shown(asked), "there is no limit", f"Set {variable} and create the container again.")
        if actual != asked:
            wrong = "it is another limit than the one asked for"
            return failed(shown(actual), shown(asked), wrong, f"Create the container again, with {variable}.")
        return passed(shown(actual), shown(asked))

    check.__doc__ = about
    return needs_container(check)


GROUP.check(
    "runtime-pids-limit",
    "Process limit",
    severity="medium",
    remedy="Set go_service_pids_limit.",
    rules=("CIS 5.29", "OWASP #7"),
)(
    _limit(
        "The container's limit of processes is go_service_pids_limit. Skipped on an Engine that can hold none.",
        "pids_limit",
        "PidsLimit",
        "{:.0f}".format,
    )
)

GROUP.check(
    "runtime-memory-limit",
    "Memory limit",
    severity="medium",
    remedy="Set go_service_memory.",
    rules=("CIS 5.11", "OWASP #7"),
)(
    _limit(
        "The container's memory limit is go_service_memory. Skipped on an Engine that can hold none.",
        "memory",
        "Memory",
        megabytes,
    )
)

GROUP.check(
    "runtime-cpu-limit",
    "Processor limit",
    severity="low",
    remedy="Set go_service_cpus.",
    rules=("CIS 5.12", "OWASP #7"),
)(
    _limit(
        "The container's share of processor time is go_service_cpus. Skipped on an Engine that can hold none.",
        "cpus",
        "NanoCpus",
        "{:g} CPUs".format,
        1_000_000_000,
    )
)
