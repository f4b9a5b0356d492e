"""Whether the port of a service is free, and who has it."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import port as ports
from ansible_collections.proven.go_service.plugins.module_utils.engine.address import Address
from deploys import listener
from samples import Settings


class Publishers:
    """Stands for an Engine of this machine that has containers published at every port: by their names alone, or each at an address."""

    def __init__(self, *names: str, address: Address | None = None, **published: str) -> None:
        self.address = address or Address("unix:///nonexistent/docker.sock")
        self._published = {**{name: f"192.0.2.{number}" for number, name in enumerate(names)}, **published}

    def publishers(self, port: int, beside: str = "") -> dict[str, str]:
        """Return the addresses of containers, each with its name."""
        return {held: name for name, held in self._published.items() if name != beside}


def publishing(port: int, address: str = "127.0.0.1") -> dict[str, Any]:
    """Return a running container that has a port of the host."""
    return {"State": {"Running": True}, "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": address, "HostPort": str(port)}]}}}


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
        ports.check_port(Publishers(address=remote), wanted, None)
        ports.check_port(Publishers(address=remote, other="127.0.0.2"), wanted, None)
        ports.check_port(Publishers(address=remote, **{wanted.name: "127.0.0.1"}), wanted, None)
        for held in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(Failure, match=rf"127\.0\.0\.1:{port} is taken by the container other"):
                ports.check_port(Publishers(address=remote, other=held), wanted, None)


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
        with pytest.raises(Failure, match=rf"127\.0\.0\.1:{port}/udp cannot be used"):
            ports.check_port(Publishers(), wanted, None)
        for protocol, own in (("udp", True), ("tcp", False)):
            bound = {f"53/{protocol}": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
            old = {"State": {"Running": True}, "HostConfig": {"PortBindings": bound}}
            with contextlib.nullcontext() if own else pytest.raises(Failure):
                ports.check_port(Publishers(), wanted, old)
    with listener() as port:
        ports.check_port(Publishers(), settings(publish="", publish_more=[f"127.0.0.1:{port}:53/udp"]), None)


@pytest.mark.parametrize(("wanted", "taken"), [("127.0.0.2", True), ("127.0.0.3", False), ("0.0.0.0", True), ("[::]", True)])
def test_an_address_beside_the_old_containers_is_taken_where_somebody_has_it(settings: Settings, wanted: str, taken: bool) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(Failure, match=rf"is taken(?: at 127\.0\.0\.2)? by the process .*\(pid {os.getpid()}\)")
            if taken
            else contextlib.nullcontext()
        ):
            ports.check_port(Publishers(), settings(publish=f"{wanted}:{port}"), publishing(port))


def test_of_several_that_hold_a_part_of_an_address_the_first_is_named(settings: Settings) -> None:
    with socket.create_server(("127.0.0.9", 0)) as one:
        port = one.getsockname()[1]
        others = [socket.create_server((f"127.0.0.{number}", port)) for number in (7, 5, 8, 6)]
        with pytest.raises(Failure, match=r"is taken at 127\.0\.0\.5 by"):
            ports.check_port(Publishers(), settings(publish=f"0.0.0.0:{port}"), publishing(port))
        for other in others:
            other.close()


def test_a_port_whose_last_connection_has_just_ended_is_free(settings: Settings) -> None:
    """The kernel keeps the half of it that was closed first for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as asking:
            server.accept()[0].close()
            assert asking.recv(1) == b""
    ports.check_port(Publishers(), settings(publish=f"127.0.0.1:{port}"), None)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"publish": "127.0.0.1:{}"}, "go_service_publish"),
        ({"publish": "", "publish_more": ["127.0.0.1:{}:9100"]}, "go_service_publish_more"),
        ({"publish": "", "network": "host", "port": "{}"}, "go_service_port"),
    ],
)
def test_the_remedy_of_a_taken_port_names_the_variable_that_chose_it(settings: Settings, changes: dict[str, Any], variable: str) -> None:
    with listener() as port:
        filled = {
            name: [item.format(port) for item in value] if isinstance(value, list) else value.format(port)
            for name, value in changes.items()
        }
        with pytest.raises(Failure) as caught:
            ports.check_port(Publishers(), settings(**filled), None)
    assert caught.value.remedy == f"Stop it, or choose another port in {variable}."


def test_a_container_that_publishes_the_port_is_named_unless_it_is_the_services_own(settings: Settings) -> None:
    with listener() as port:
        wanted = settings(name="api", publish=f"127.0.0.1:{port}")
        with pytest.raises(Failure, match=rf"the host port 127\.0\.0\.1:{port} is taken by the container web, db\Z"):
            ports.check_port(Publishers("web", "api", "db"), wanted, None)
        with pytest.raises(Failure, match="by the process "):
            ports.check_port(Publishers("api"), wanted, None)


def test_one_who_listens_on_all_addresses_is_named_whatever_address_is_wanted(settings: Settings) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Failure, match=rf"\(pid {os.getpid()}\)"):
            ports.check_port(Publishers(), settings(publish=f"127.0.0.1:{port}"), None)


def test_nobody_is_named_who_listens_elsewhere() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert f"(pid {os.getpid()})" in ports.port_holder(port, "127.0.0.2")
        assert ports.port_holder(port, "127.0.0.1") == "another process"
    assert ports.port_holder(port) == "another process"


HOSTED = {"State": {"Running": True}, "HostConfig": {"NetworkMode": "host"}}


@pytest.mark.parametrize(
    ("changes", "old", "refused"),
    [
        ({"network": "host"}, HOSTED, "Set go_service_deploy_strategy: recreate"),
        ({"network": "host"}, {**HOSTED, "State": {"Running": False}}, ""),
        ({"network": "host"}, None, ""),
        ({"network": "host", "deploy_strategy": "recreate"}, HOSTED, ""),
        ({}, HOSTED, ""),
    ],
)
def test_a_candidate_has_no_ports_of_the_host_beside_a_container_that_has_them(
    settings: Settings, changes: dict[str, Any], old: dict[str, Any] | None, refused: str
) -> None:
    with listener() as port:
        pass
    wanted = settings(publish="", port=port, **changes)
    with pytest.raises(Failure) if refused else contextlib.nullcontext() as caught:
        ports.refuse_beside(Publishers(), wanted, old)
    if refused:
        assert caught.value.remedy.startswith(refused)
        assert f"cannot have the port {port} beside the running container cat-server" in caught.value.message


def test_a_candidate_on_the_hosts_network_needs_the_port_from_others_too(settings: Settings) -> None:
    with listener() as port, pytest.raises(Failure, match="is taken by the process"):
        ports.refuse_beside(Publishers(), settings(publish="", port=port, network="host"), None)
