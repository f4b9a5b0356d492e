"""What counts as an answer of a service."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
from deploys import listener
from plays import free_port


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
def test_what_counts_as_an_http_answer(answer: bytes | None, expected: str) -> None:
    with listener(answer) as port:
        assert proofs.http_answers("127.0.0.1", port, "/health", timeout=0.3).strip() == expected


def test_a_refused_connection_is_told_apart() -> None:
    assert proofs.http_answers("127.0.0.1", free_port(), "/") == "refused"


def test_an_answer_over_ipv6() -> None:
    with listener(b"HTTP/1.1 200 OK\r\n\r\n", socket.AF_INET6) as port:
        assert proofs.http_answers("::1", port, "/") == ""
