"""Whether the port of a service is free, and who has it."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import port as ports
from ansible_collections.proven.go_service.plugins.module_utils.engine.address import Address
from deploys import listener
from samples import Settings


class Publishers:
    """Stands for an Engine of this machine whose containers publish nothing, or what it is made with."""

    def __init__(self, address: Address | None = None, **published: str) -> None:
        self.address = address or Address("unix:///nonexistent/docker.sock")
        self._published = published

    def publishers(self, port: int, beside: str = "") -> dict[str, str]:
        """Return the addresses of containers."""
        return {held: name for name, held in self._published.items() if name != beside}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_taken_port_names_the_process(settings: Settings, family: int) -> None:
    with listener(family=family) as port:
        address = "127.0.0.1" if family == socket.AF_INET else "[::1]"
        with pytest.raises(Failure) as caught:
            ports.check_port(Publishers(), settings(publish=f"{address}:{port}"), None)
        assert f":{port} is taken by the process " in caught.value.message
        assert f"(pid {os.getpid()})" in caught.value.message
    assert (caught.value.stage, caught.value.still_runs) == ("port", "Nothing that ran before was touched.")
    assert "go_service_publish" in caught.value.remedy
    ports.check_port(Publishers(), settings(publish=f"{address}:{port}"), None)


def test_of_an_engine_elsewhere_its_containers_alone_are_known(settings: Settings) -> None:
    """A port that is taken on this machine says nothing of it; one that a container there has does."""
    remote = Address("tcp://192.0.2.1:2375")
    with listener() as port:
        wanted = settings(publish=f"127.0.0.1:{port}")
        ports.check_port(Publishers(remote), wanted, None)
        ports.check_port(Publishers(remote, other="127.0.0.2"), wanted, None)
        ports.check_port(Publishers(remote, **{wanted.name: "127.0.0.1"}), wanted, None)
        for held in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(Failure, match=rf"127\.0\.0\.1:{port} is taken by the container other"):
                ports.check_port(Publishers(remote, other=held), wanted, None)


def test_an_address_of_another_host(settings: Settings) -> None:
    with pytest.raises(Failure, match=r"192\.0\.2\.1 is not one of this host's"):
        ports.check_port(Publishers(), settings(publish="192.0.2.1:8080"), None)


def test_a_service_without_a_published_port_needs_none(settings: Settings) -> None:
    ports.check_port(Publishers(), settings(publish=""), None)


@pytest.mark.parametrize(("running", "host_port", "taken"), [(True, 0, False), (False, 0, True), (True, 1, True)])
def test_the_port_of_the_old_container_is_its_own(settings: Settings, running: bool, host_port: int, taken: bool) -> None:
    with listener() as port:
        bindings = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port + host_port)}]}
        old = {"State": {"Running": running}, "HostConfig": {"PortBindings": bindings}}
        with pytest.raises(Failure) if taken else contextlib.nullcontext():
            ports.check_port(Publishers(), settings(publish=f"127.0.0.1:{port}"), old)


@pytest.mark.parametrize(("own", "taken"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_wider_address_than_the_old_containers_may_be_taken(settings: Settings, own: str, taken: bool) -> None:
    """The old container's own part of it is free when it stops; somebody else's is not."""
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        old = {"State": {"Running": True}, "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": own, "HostPort": str(port)}]}}}
        with pytest.raises(Failure, match=r"taken at 127\.0\.0\.2 by the process") if taken else contextlib.nullcontext():
            ports.check_port(Publishers(), settings(publish=f"0.0.0.0:{port}"), old)


def test_a_datagram_port(settings: Settings) -> None:
    """UDP has ports of its own: a taken one is told, that of the old container is its own, and TCP does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        wanted = settings(publish="", publish_more=[f"127.0.0.1:{port}:53/udp"])
        with pytest.raises(Failure, match=rf"127\.0\.0\.1:{port}/udp cannot be had"):
            ports.check_port(Publishers(), wanted, None)
        for protocol, own in (("udp", True), ("tcp", False)):
            bound = {f"53/{protocol}": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
            old = {"State": {"Running": True}, "HostConfig": {"PortBindings": bound}}
            with contextlib.nullcontext() if own else pytest.raises(Failure):
                ports.check_port(Publishers(), wanted, old)
    with listener() as port:
        ports.check_port(Publishers(), settings(publish="", publish_more=[f"127.0.0.1:{port}:53/udp"]), None)
