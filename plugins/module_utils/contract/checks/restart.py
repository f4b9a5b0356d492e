"""The check of the restart policy of the running container."""

from __future__ import annotations

from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_container, passed, skipped

GROUP = Group("runtime")


@GROUP.check(
    "runtime-restart-policy",
    "Restart policy",
    severity="low",
    remedy="Set go_service_restart_policy and run again.",
    rules=("CIS 5.15", "OWASP #7"),
)
@needs_container
def runtime_restart_policy(evidence: Evidence, expected: Expected) -> Outcome:
    """The container's restart policy is go_service_restart_policy. The CIS benchmark asks for on-failure with 5 attempts; the
    default, unless-stopped, starts a developer's service again after a reboot. Skipped for a candidate, which is never
    restarted."""
    if expected.candidate:
        return skipped("a candidate is never restarted by design; the service's own container is checked after the swap")
    actual = (evidence.host_config.get("RestartPolicy") or {}).get("Name") or "no"
    if actual != expected.restart_policy:
        return failed(actual, expected.restart_policy, "it is another policy than the one asked for")
    return passed(actual, expected.restart_policy)
