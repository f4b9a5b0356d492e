"""What counts as an answer of a service."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
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


def test_an_answer_over_ipv6(settings: Settings) -> None:
    with listener(b"HTTP/1.1 200 OK\r\n\r\n", socket.AF_INET6) as port:
        assert proofs.answers(settings(), "::1", port) == ""
