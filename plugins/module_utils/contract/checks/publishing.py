"""Checks of where the running container can be reached: its published ports, and the networks that it is in."""

from __future__ import annotations

from ...common.settings import Publication
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
    """The container publishes go_service_publish and go_service_publish_more, and nothing else. An address that stands for every interface is a
    warning: the Engine opens it past most host firewalls. Skipped for a candidate, which has no host port by design."""
    host = evidence.host_config
    actual = sorted(
        f"{_address(binding.get('HostIp') or '0.0.0.0')}:{binding.get('HostPort') or '?'} -> {port}"
        for port, bindings in (host.get("PortBindings") or {}).items()
        for binding in bindings or ()
    )
    measured = listed(actual) or "none"
    if host.get("PublishAllPorts"):
        return failed("all ports", "those that were asked for", "every exposed port is published")
    if expected.candidate and not actual:
        return skipped("a candidate has no host port by design; the service's own container is checked after the swap")
    asked = (*((Publication(expected.publish, expected.port),) if expected.publish else ()), *expected.publish_more)
    wanted = [] if expected.candidate else sorted(f"{published.endpoint} -> {published.inside}" for published in asked)
    limit = listed(wanted) or "none"
    if actual != wanted:
        return failed(measured, limit, "other addresses are published than asked for")
    if any(published.endpoint.address in ("0.0.0.0", "::") for published in asked):
        return warned(measured, limit, "it is open on every interface of the host, also past most host firewalls")
    return passed(measured, limit)


@GROUP.check(
    "runtime-networks",
    "Networks",
    severity="medium",
    remedy="Set go_service_network and go_service_networks to what the service needs, and run again.",
    rules=("CIS 5.9",),
)
@needs_container
def runtime_networks(evidence: Evidence, expected: Expected) -> Outcome:
    """The container is in go_service_network and in those of go_service_networks, and in no other."""
    settings = (evidence.container or {}).get("NetworkSettings") or {}
    actual = sorted(settings.get("Networks") or [evidence.host_config.get("NetworkMode") or ""])
    wanted = sorted(set(expected.networks))
    if actual != wanted:
        return failed(listed(actual), listed(wanted), "they are others than those that were asked for")
    return passed(listed(actual), listed(wanted))


def _address(address: str) -> str:
    return f"[{address}]" if ":" in address else address
