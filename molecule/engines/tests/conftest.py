"""Keeps what came of each test on each Engine, for the table of the README (scripts/engines.py)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(os.environ.get("MOLECULE_PROJECT_DIRECTORY", "."), ".cache/engines.json")
ROWS = pytest.StashKey[dict[str, dict[str, str]]]()


class Docker:
    """The docker command on a machine, at the Engine that the role works with there."""

    def __init__(self, machine: Any, address: str) -> None:
        self._machine, self._prefix = machine, f"DOCKER_HOST={address} docker" if address else "docker"

    def __call__(self, arguments: str) -> str:
        """Return what the command prints; it has to succeed."""
        return self._machine.run(f"{self._prefix} {arguments}")

    def json(self, arguments: str) -> Any:
        """Return what it prints, as JSON."""
        return json.loads(self(arguments))


@pytest.fixture(scope="module")
def docker(machine: Any, machine_name: str, expected: dict[str, Any]) -> Docker:
    """The docker command on the machine."""
    return Docker(machine, expected["addresses"].get(machine_name, ""))


@pytest.fixture
def health(machine: Any, expected: dict[str, Any]) -> Callable[[], str]:
    """Return what asks the service how it is, which has to answer that it is well, and returns what it says."""

    def ask() -> str:
        response = machine.get("/health", "127.0.0.1", expected["host_port"])
        assert response.status == 200 and json.loads(response.body)["status"] == "ok", response
        return response.body

    return ask


@pytest.fixture
def cell(request: pytest.FixtureRequest, machine_name: str) -> Iterator[dict[str, str]]:
    """What the table says in the column of the test and the row of the machine: the test sets `column` and `text`."""
    found: dict[str, str] = {}
    began = time.monotonic()
    yield found
    seconds = f"{time.monotonic() - began:.0f} s"
    failed = request.node.stash.get(FAILED, True)
    row = request.config.stash.setdefault(ROWS, {}).setdefault(machine_name, {})
    row[found["column"]] = "**FAILED**" if failed else found.get("text") or seconds


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Tell the fixture how the test went."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what the run found of its machines; of others stays what an earlier run found."""
    rows = session.config.stash.get(ROWS, {})
    if rows:
        RESULTS.parent.mkdir(exist_ok=True)
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**kept, **rows}, indent=2) + "\n", encoding="utf-8")
