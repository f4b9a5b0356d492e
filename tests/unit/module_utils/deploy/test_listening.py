"""Where a service listens is measured, and said where it cannot be proven."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import candidate as candidates
from ansible_collections.proven.go_service.plugins.module_utils.deploy import listening
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from fuzzing import EXAMPLES
from hypothesis import example, given
from hypothesis import strategies as st
from samples import Settings

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: {0} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2710 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000000000000000 100 0 0 10 0
"""


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("0100007F:15CA", "127.0.0.1"),
        ("00000000:15CA", "0.0.0.0"),
        ("00000000000000000000000000000000:15CA", "::"),
        ("00000000000000000000000001000000:15CA", "::1"),
        ("0000000000000000FFFF00000100007F:15CA", "127.0.0.1"),
    ],
)
def test_a_kernels_table_is_read(written: str, address: str) -> None:
    assert listening.parse_table(TABLE.format(written)) == {(address, 5578)}
    assert listening.parse_table(TABLE.format(written), {"4712"}) == set()


def test_the_engines_name_server_is_not_the_service() -> None:
    assert listening.parse_table(TABLE.format("0B00007F:8D2F")) == set()


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """Answer by TLS on a port of all addresses of this machine."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("0.0.0.0", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    plain, _address = server.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


# The service's command and settings -> what is said of it, what to do, and what must not be said. {tls}: a port of this host that speaks TLS.
REFUSED_BY_OTHERS = "echo 'dial tcp 10.0.0.5:5432: connect: connection refused'; "


LISTENING: dict[str, tuple[str, dict[str, Any], list[str], list[str], list[str]]] = {
    "on another port": (
        REFUSED_BY_OTHERS + "exec httpd -f -p 127.0.0.1:5678 -h /srv",
        {},
        ["it listens on 5678 (127.0.0.1), and go_service_port says 8080"],
        ["Set go_service_port to 5678"],
        ["Nothing listens"],
    ),
    "on other ports": (
        "httpd -p 5678 -h /srv; exec httpd -f -p 5679 -h /srv",
        {},
        ["5678 (all addresses), 5679 (all addresses)"],
        ["the one that serves the health check"],
        [],
    ),
    "on another address": (
        "exec httpd -f -p 127.0.0.2:8080 -h /srv",
        {},
        ["it listens on 8080 (127.0.0.2), but the health check connects to localhost"],
        ["Set go_service_health_host to 127.0.0.2"],
        ["Nothing listens"],
    ),
    "never": (
        "sleep 60",
        {},
        ["it never listened on any port"],
        ["Find out from its log lines for what it waits", "go_service_start_timeout"],
        ["go_service_port"],
    ),
    "never, as it waits for its database": (
        REFUSED_BY_OTHERS + "sleep 60",
        {},
        ["it never listened on any port"],
        ["another server that the service needs does not answer"],
        ["go_service_health_host"],
    ),
    "no more": (
        "httpd -f -p 8080 -h /srv & sleep 1; kill $!; sleep 60",
        {"stable_seconds": 4},
        ["it listens on no port any more; it did on 8080 (all addresses)"],
        ["why it has closed its port"],
        [],
    ),
    "by TLS": (
        "exec nc -lk -p 8080 -e nc {gateway} {tls}",
        {},
        ["it speaks TLS on port 8080, where the health check uses plain HTTP"],
        ["plain HTTP on go_service_port"],
        ["go_service_health_path"],
    ),
    "and ended": (
        REFUSED_BY_OTHERS + "httpd -f -p 8080 -h /srv & sleep 0.7; exit 4",
        {"stable_seconds": 3},
        ["exited with code 4", "measured: it listened on 8080 (all addresses) before it ended"],
        ["another server that the service needs does not answer"],
        ["Nothing listens"],
    ),
}


@pytest.mark.engine
@pytest.mark.parametrize("case", LISTENING.values(), ids=LISTENING)
@pytest.mark.parametrize("here", [True, False], ids=["by the kernel", "by a command"])
def test_where_a_service_listens_is_measured(  # noqa: PLR0917
    clean: Engine,
    web: str,
    service: Settings,
    tls_port: int,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Any, ...],
    here: bool,
) -> None:
    """The kernel's tables are read on this machine, or by a command in the container where another machine's kernel runs it."""
    if not here:
        if case in (LISTENING["no more"], LISTENING["and ended"]):
            pytest.skip("a command in the container is run at the end alone")
        monkeypatch.setattr(listening, "listeners", lambda _container: None)
    command, changes, words, remedy, never = case
    gateway = clean._client.inspect_network("bridge")["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    command = command.replace("{gateway}", gateway).replace("{tls}", str(tls_port))
    with pytest.raises(Failure) as caught:
        candidates.prove_candidate(clean, service(command, **{"start_timeout": 1.2, **changes}), web, str)
    told = "\n".join([caught.value.message, *caught.value.evidence])
    assert [word for word in words if word not in told] == []
    assert [word for word in remedy if word not in caught.value.remedy] == []
    assert [word for word in never if word in caught.value.remedy] == []


FIELD = st.one_of(
    st.sampled_from(["0:", "0A", "0100007F:1F90", ":", "zz:zz", "F" * 5000 + ":1", "0" * 32 + ":FFFF", "1"]), st.text(max_size=6)
)


@EXAMPLES
@given(lines=st.lists(st.lists(FIELD, max_size=12).map(" ".join), max_size=5))
@example(lines=["0: zz:zz x 0A 0 0 0 0 0 1"])
@example(lines=[f"0: 0100007F:{'F' * 5000} x 0A 0 0 0 0 0 1"])
def test_any_table_of_sockets_is_read(lines: list[str]) -> None:
    for address, port in listening.parse_table("\n".join(lines)):
        assert listening.told({(address, port)}).startswith(str(port))
