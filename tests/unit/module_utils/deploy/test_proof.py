"""What counts as an answer of a service."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
from ansible_collections.proven.go_service.plugins.module_utils.deploy.container import create_body, drift
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from deploys import listener
from plays import free_port
from samples import Settings


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 404 Not Found\r\n\r\nno", ""),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (b"", "Remote end closed connection without response"),
        (None, "timed out"),
    ],
)
def test_what_counts_as_an_http_answer(settings: Settings, answer: bytes | None, expected: str) -> None:
    with listener(answer) as port:
        assert proofs.answers(settings(), "127.0.0.1", port, timeout=0.3).strip() == expected


@pytest.mark.parametrize(("answer", "expected"), [(b"\0\0\0 anything", ""), (b"", "the connection is closed at once"), (None, "")])
def test_what_counts_where_a_command_tests_the_health(settings: Settings, answer: bytes | None, expected: str) -> None:
    with listener(answer, waits=False) as port:
        assert proofs.answers(settings(health_command=["/x"]), "127.0.0.1", port) == expected


@pytest.mark.parametrize("changes", [{}, {"health_scheme": "https"}, {"health_command": ["/x"]}], ids=["http", "https", "command"])
def test_a_refused_connection_is_told_apart(settings: Settings, changes: dict[str, Any]) -> None:
    assert proofs.answers(settings(**changes), "127.0.0.1", free_port()) == "refused"


@pytest.mark.parametrize(("rootless", "asked"), [(True, False), (False, True)])
def test_an_address_of_a_network_that_is_not_this_machines_is_not_asked(settings: Settings, rootless: bool, asked: bool) -> None:
    """The containers of a rootless Engine have addresses that may be another machine's here. What they listen on is looked at instead."""
    tables = "  sl  local_address\n   0: 00000000:1F90 00000000:0000 0A 0 0 0 0 0 0 0\n"
    engine = SimpleNamespace(
        address=SimpleNamespace(docker_host="unix:///no.sock"),
        is_rootless=rootless,
        container=lambda _id: {"Id": "c", "HostConfig": {}, "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "127.0.0.1"}}}},
        run_in=lambda *_asked: (0, tables),
    )
    assert proofs.listens_inside_only(engine, "c", replace(settings(), port=free_port() if asked else 8080)) is asked


def test_an_answer_over_ipv6(settings: Settings) -> None:
    with listener(b"HTTP/1.1 200 OK\r\n\r\n", socket.AF_INET6) as port:
        assert proofs.answers(settings(), "::1", port) == ""


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown", []),
        ("OCI runtime exec failed: exec failed: unable to start: cannot exec in a deleted state: unknown", []),
        ("container 0c1d2e is not running", []),
        ('OCI runtime exec failed: exec: "wget": executable file not found in $PATH: unknown', ["wget"]),
        ("wget: server returned error: HTTP/1.1 500", ["500"]),
    ],
)
def test_a_health_test_that_met_a_container_that_had_ended_tells_nothing(printed: str, told: list[str]) -> None:
    engine = SimpleNamespace(logs=lambda container_id, lines: ["started"])
    container = {"Id": "c1", "State": {"Health": {"Log": [{"ExitCode": -1, "Output": printed}]}}}
    words = proofs.last_words(engine, container)  # type: ignore[arg-type]
    assert words[-1] == "log: started"
    assert [word for word in told if word in words[0]] == told
    assert len(words) == len(told) + 1


@pytest.mark.engine
def test_a_further_port_that_nothing_listens_on(clean: Engine, service: Callable[..., typed.Settings], web: str) -> None:
    """It is told; the one that is listened on is not, and of UDP nothing is known."""
    command = "httpd -p 9100 -h /srv; exec httpd -f -p 8080 -h /srv"
    wanted = service(
        command, publish_more=[f"127.0.0.1:{free_port()}:9100", f"127.0.0.1:{(silent := free_port())}:9101", "127.0.0.1:1:53/udp"]
    )
    body = create_body(replace(wanted, publish_more=()), web, clean.api_version)
    made = clean.create(wanted.name, body)
    clean.start(made)
    proofs.prove_by_test(clean, made, 3, 10, 0)
    assert proofs.silent_ports(clean, made, wanted) == [f"127.0.0.1:{silent}:9101"]


@pytest.mark.engine
def test_a_port_for_datagrams(clean: Engine, service: Callable[..., typed.Settings], web: str) -> None:
    """What is sent to it on this machine comes back from the service."""
    port = free_port()
    wanted = service("nc -u -l -p 5353 -e cat & exec httpd -f -p 8080 -h /srv", publish_more=[f"127.0.0.1:{port}:5353/udp"])
    made = clean.create(wanted.name, create_body(wanted, web, clean.api_version))
    clean.start(made)
    proofs.prove_by_test(clean, made, 3, 10, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"word", ("127.0.0.1", port))
        assert client.recv(16) == b"word"
    assert drift(create_body(wanted, web, clean.api_version), clean.container(made)) == []
