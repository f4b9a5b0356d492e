"""The address that is published."""

from __future__ import annotations

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Endpoint, Publication
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import publishing
from violations import GOOD, Violation, assert_all_provoked, assert_caught, in_container, result

VIOLATIONS: dict[str, Violation] = {
    "other address": (
        lambda: in_container(PortBindings={"8080/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        {},
        {"runtime-publish"},
        "other addresses",
    ),
    "not published": (lambda: in_container(PortBindings={}), {}, {"runtime-publish"}, "other addresses"),
    "all ports": (lambda: in_container(PublishAllPorts=True), {}, {"runtime-publish"}, "every exposed port"),
    "published candidate": (lambda: GOOD, {"candidate": True}, {"runtime-publish"}, "other addresses"),
    "further port that is not published": (
        lambda: samples.good_evidence(config={"ExposedPorts": {"8080/tcp": {}, "9100/tcp": {}}}),
        {"publish_more": (Publication(Endpoint("127.0.0.1", 9100), 9100),)},
        {"runtime-publish"},
        "other addresses",
    ),
    "another network": (lambda: GOOD, {"networks": ("bridge", "backend")}, {"runtime-networks"}, "they are others"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(publishing.GROUP, VIOLATIONS)


def test_open_address():
    """An address of every interface that was asked for is a warning."""
    bindings = {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    found = result("runtime-publish", in_container(PortBindings=bindings), samples.expected(publish=Endpoint("0.0.0.0", 8080)))
    assert (found.verdict, "every interface" in found.reason) == ("warn", True)
