"""The check of the address that the running container publishes."""

from __future__ import annotations

from ...common.text import listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_container, passed, skipped, warned

GROUP = Group("runtime")


@GROUP.check(
    "runtime-publish",
    "Published address",
    severity="high",
    remedy="Set go_service_publish to an address of one interface, like 127.0.0.1:8080, and run again.",
    rules=("CIS 5.9", "CIS 5.14", "OWASP #5a"),
)
@needs_container
def runtime_publish(evidence: Evidence, expected: Expected) -> Outcome:
    """The container's only published port is go_service_publish. An address that stands for every interface is a
    warning: the Engine opens it past most host firewalls. Skipped for a candidate, which has no host port by design."""
    host = evidence.host_config
    actual = sorted(
        f"{_address(binding.get('HostIp') or '0.0.0.0')}:{binding.get('HostPort') or '?'} -> {port}"
        for port, bindings in (host.get("PortBindings") or {}).items()
        for binding in bindings or ()
    )
    measured = listed(actual) or "none"
    if host.get("PublishAllPorts"):
        return failed("all ports", "one port at the most", "every exposed port is published")
    if expected.candidate and not actual:
        return skipped("a candidate has no host port by design; the service's own container is checked after the swap")
    wanted = (
        []
        if expected.publish is None or expected.candidate
        else [f"{_address(expected.publish[0])}:{expected.publish[1]} -> {expected.port}/tcp"]
    )
    limit = listed(wanted) or "none"
    if actual != wanted:
        return failed(measured, limit, "other addresses are published than asked for")
    if expected.publish and expected.publish[0] in ("0.0.0.0", "::"):
        return warned(measured, limit, "it is open on every interface of the host, also past most host firewalls")
    return passed(measured, limit)


def _address(address: str) -> str:
    return f"[{address}]" if ":" in address else address
