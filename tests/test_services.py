"""Services of shapes that differ, built, run and removed on this machine's Engine by the playbooks, as a user would."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from plays import EXAMPLES, SERVICES, changed, free_port, get, left_on_engine, play

MODULE, VERSION = "example.org/greeting", "v1.2.0"


@dataclass(frozen=True)
class Shape:
    """A service and what a user sets for it. answers: path -> what it answers; absent: paths that answer 404; inventory: of an example, in its source."""

    source: str
    variables: dict[str, Any]
    answers: dict[str, str]
    absent: tuple[str, ...] = ()
    served: tuple[str, ...] = field(default=())
    tested: bool = False
    inventory: str = ""


SHAPES = {
    # vendor/ with a third-party package; embeds what a .dockerignore usually keeps out.
    "notes": Shape(
        "notes",
        {},
        {
            "/health": "ok",
            "/greeting": "Good day, notes",
            "/docs/README.md": "# Notes, the page that is embedded",
            "/docs/pages/first.md": "# First page",
            "/static/site.css": "body { color: #333 }",
            "/static/node_modules/badge/badge.js": "console.log('badge')",
            "/static/_hidden.txt": "hidden, but embedded by all:",
        },
        absent=("/docs/go.mod",),
    ),
    # A module in a sub-directory that replaces another by a sibling; two commands; a fixed port, its own health path, a flag.
    "orders": Shape(
        "shop",
        {
            "go_service_module_dir": "services/orders",
            "go_service_main_package": "./cmd/api",
            "go_service_port": 9100,
            "go_service_health_path": "/-/ready",
            "go_service_args": ["-currency", "EUR"],
        },
        {"/-/ready": "ready", "/price/ink": "20.05 EUR"},
        absent=("/price/paper", "/health"),
    ),
    # The example with dependencies: the build downloads them by the module proxy in the Engine's default network, and runs tests that need more of them.
    "price-api": Shape(
        "price-api",
        {},
        {"/prices": '{"items":["cake","coffee","tea"]}', "/prices/tea": '{"item":"tea","cents":250,"currency":"EUR"}'},
        absent=("/prices/nothing",),
        tested=True,
        inventory="deploy/inventory.yml",
    ),
    # A workspace: another of its modules embeds what a .dockerignore keeps out, and needs the third-party module.
    "ledger": Shape(
        "ledger",
        {"go_service_build_network": "host", "go_service_module_dir": "app"},
        {"/health": "ok", "/title": "Good day, ledger: The books of the ledger"},
        served=(f"/{MODULE}/@v/{VERSION}.mod", f"/{MODULE}/@v/{VERSION}.zip"),
    ),
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and notes which in the server's `asked`."""

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with a file."""
        self.server.asked.append(self.path)
        super().do_GET()


@contextmanager
def module_proxy(directory: Path) -> Iterator[ThreadingHTTPServer]:
    """Serve the module as a static directory in the layout of https://go.dev/ref/mod#goproxy-protocol."""
    place = directory / MODULE / "@v"
    place.mkdir(parents=True)
    source = SERVICES / "modules" / "greeting"
    (place / f"{VERSION}.info").write_text(json.dumps({"Version": VERSION}))
    shutil.copy(source / "go.mod", place / f"{VERSION}.mod")
    with zipfile.ZipFile(place / f"{VERSION}.zip", "w") as archive:
        for file in sorted(source.iterdir()):
            archive.write(file, f"{MODULE}@{VERSION}/{file.name}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Prints how many files Go's cache holds, and how many of them Go would renew in an hour, which copies them into the layer of an edit.
CACHED = (
    'touch /in-an-hour -d "@$(($(date +%s) + 3600))"; cd "$GOCACHE"; find . -type f | wc -l; find . -type f ! -newer /in-an-hour | wc -l'
)


def cached(service: str) -> tuple[int, int]:
    """Return how many files the builder stage has in Go's cache, and how many of them an edit would copy sooner or later."""
    filters = ("--filter", "dangling=true", "--filter", f"label=go-service.name={service}", "--filter", "label=go-service.kind=builder")
    stage = subprocess.check_output(["docker", "images", "--quiet", *filters], text=True).split()[0]
    found = subprocess.check_output(["docker", "run", "--rm", stage, "sh", "-ec", CACHED], text=True).split()
    return int(found[0]), int(found[1])


@pytest.mark.parametrize("name", SHAPES)
def test_service(name: str, tmp_path: Path) -> None:
    """Built and run at first, left alone by a second run, gone after a removal."""
    shape, service, port = SHAPES[name], f"shape-{name}", free_port()
    source = tmp_path / "source"
    shutil.copytree((EXAMPLES if shape.inventory else SERVICES) / shape.source, source)
    inventory = ("-i", str(source / shape.inventory)) if shape.inventory else ()
    variables = {
        "go_service_name": service,
        "go_service_source": str(source),
        "go_service_publish": f"127.0.0.1:{port}",
        "go_service_work_dir": str(tmp_path / "work"),
        "go_service_report_dir": str(tmp_path / "reports"),
        **shape.variables,
    }
    with module_proxy(tmp_path / "proxy") as proxy:
        if shape.served:
            variables["go_service_build_env"] = {"GOPROXY": f"http://127.0.0.1:{proxy.server_port}", "GOSUMDB": "off"}
        try:
            first = play("build", variables, *inventory)
            assert changed(first) > 0
            assert {path: get(port, path) for path in shape.answers} == {path: (200, text) for path, text in shape.answers.items()}
            assert [get(port, path)[0] for path in shape.absent] == [404] * len(shape.absent)
            assert set(shape.served) <= set(proxy.asked)
            # tests/machine.yml has built another service before: what both stand on is compiled once.
            assert ", on the cache" in first
            files, renewed = cached(service)
            # The service's own packages are compiled anew anyway; and, where its tests are run, what `go vet` finds out of every package.
            assert files > 1000
            assert renewed < 50 or shape.tested
            again = play("build", variables, *inventory)
            assert changed(again) == 0
            assert "nothing had to change" in again
        finally:
            play("remove", variables, *inventory)
    assert left_on_engine(service) == []
    assert not (tmp_path / "work" / service).exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
        pass
