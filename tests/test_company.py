"""Life in a company: modules from a proxy with a path, a password and a certificate of the company's own authority, reached through a proxy of HTTP; and the
same for the service that runs.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import select
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import git_hosts
import pytest
from plays import changed, free_port, get, left_on_engine, play

pytestmark = pytest.mark.skipif("ENGINES" not in os.environ, reason="make engines runs it")
SERVICE = "company-words"
# A name that nothing but the proxy of HTTP knows.
NAME = "goproxy.company.test"
PASSWORD = "Passwd7Kq-x_1~z9"
MODULE = "company.test/greeting"
MAIN = """\
package main

import (
	"io"
	"log"
	"net/http"
	"os"

	"company.test/greeting"
)

func main() {
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\\n")) })
	http.HandleFunc("/word", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(greeting.Word)) })
	http.HandleFunc("/ask", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(r.URL.Query().Get("url"))
		if err != nil {
			w.Write([]byte(err.Error()))
			return
		}
		io.Copy(w, answer.Body)
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
"""


def hash_of(files: dict[str, bytes]) -> str:
    """Return the hash of files as go.sum has it."""
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def make_module(directory: Path) -> str:
    """Write a module as a proxy serves it; return the lines of go.sum."""
    directory.mkdir(parents=True)
    go_mod = f"module {MODULE}\n\ngo 1.21\n".encode()
    files = {f"{MODULE}@v1.2.0/go.mod": go_mod, f"{MODULE}@v1.2.0/greeting.go": b'package greeting\n\nconst Word = "greeting"\n'}
    with zipfile.ZipFile(directory / "v1.2.0.zip", "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    (directory / "v1.2.0.mod").write_bytes(go_mod)
    (directory / "v1.2.0.info").write_text('{"Version": "v1.2.0"}')
    return f"{MODULE} v1.2.0 {hash_of(files)}\n{MODULE} v1.2.0/go.mod {hash_of({'go.mod': go_mod})}\n"


@contextlib.contextmanager
def forwarding(address: str, known: dict[str, tuple[str, int]]) -> Iterator[tuple[int, list[str]]]:
    """Run a proxy of HTTP that forwards what is asked of names that it knows; yield its port, and what it was asked for so far."""
    asked: list[str] = []
    listener = socket.create_server((address, 0))

    def serve(client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head and (piece := client.recv(65536)):
                head += piece
            method, target = head.split(b" ")[:2] if head else (b"", b"")
            asked.append(target.decode())
            if method != b"CONNECT" or target.decode() not in known:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(known[target.decode()]) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                ends = {client: server, server: client}
                while True:
                    for ready in select.select(list(ends), [], [], 60)[0]:
                        piece = ready.recv(65536)
                        if not piece:
                            return
                        ends[ready].sendall(piece)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture
def variables(builder_image: str, runtime_image: str, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return the variables of the service, which is gone after the test."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.go").write_text(MAIN)
    (source / "go.mod").write_text(f"module example.org/words\n\ngo 1.21\n\nrequire {MODULE} v1.2.0\n")
    (source / "go.sum").write_text(make_module(tmp_path / f"served/artifactory/api/go/{MODULE}/@v"))
    made = {
        "go_service_name": SERVICE,
        "go_service_source": str(source),
        "go_service_publish": f"127.0.0.1:{free_port()}",
        "go_service_builder_image": builder_image,
        "go_service_runtime_image": runtime_image,
        "go_service_work_dir": str(tmp_path / "work"),
        "go_service_report_dir": str(tmp_path / "reports"),
        "go_service_stable_seconds": 0,
    }
    yield made
    play("remove", made)
    assert left_on_engine(SERVICE) == []


@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_a_companys_proxies(builder: str, variables: dict[str, Any], buildx: dict[str, str], tmp_path: Path) -> None:
    address, port = git_hosts.gateway(), int(variables["go_service_publish"].rpartition(":")[2])
    authority, certificate = git_hosts.make_authority(tmp_path / "authority", address, NAME)
    (tmp_path / "served/hello").write_text("hello")
    variables["go_service_builder"] = builder
    with (
        git_hosts.serving(tmp_path / "served", address, certificate, f"me:{PASSWORD}", port=0) as host,
        forwarding(address, {f"{NAME}:443": (address, host.port)}) as (proxy, asked),
    ):
        through = {"HTTPS_PROXY": f"http://{address}:{proxy}", "NO_PROXY": address}
        given = {
            **variables,
            "go_service_build_env": {"GOPROXY": f"https://{NAME}/artifactory/api/go", "GONOSUMDB": "company.test", **through},
        }

        def failed(**changes: Any) -> str:
            play("build", {**given, **changes}, env=buildx, succeeds=False)
            failure = json.loads((tmp_path / f"reports/localhost/{SERVICE}.json").read_text())["failure"]
            assert failure["stage"] == "build"
            return failure["remedy"]

        assert "go_service_ca_certificates" in failed()
        given["go_service_ca_certificates"] = authority
        assert f"{NAME} lets nobody read a module without a credential" in failed()
        given["go_service_build_secrets"] = {NAME: {"user": "me", "token": PASSWORD}}
        play("build", given, env=buildx)
        assert get(port, "/word") == (200, "greeting")
        assert host.served("/artifactory/api/go/") >= 2 and set(asked) == {f"{NAME}:443"}
        assert changed(play("build", given, env=buildx)) == 0

        # The service trusts nobody more than before, and goes through no proxy, until it is asked for.
        addresses = [f"https://me:{PASSWORD}@{name}/hello" for name in (NAME, f"{address}:{host.port}")]
        said = [get(port, f"/ask?url={url}")[1] for url in addresses]
        assert "no such host" in said[0] and "unknown authority" in said[1]
        asked.clear()
        play("build", {**given, "go_service_ca_in_image": True, "go_service_env": through}, env=buildx)
        assert [get(port, f"/ask?url={url}") for url in addresses] == [(200, "hello")] * 2
        # What NO_PROXY names is asked without it.
        assert asked.count(f"{NAME}:443") == len(asked) > 0
