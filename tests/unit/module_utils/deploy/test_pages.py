"""A service without a page at the path of its health check is told the one that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import candidate as candidates
from ansible_collections.proven.go_service.plugins.module_utils.deploy import pages
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine

WGET = ["wget", "-q", "--header=X-Asked: yes", "http://localhost:8080/health"]


class Answering:
    """An Engine whose container answers its health check well at some paths."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.asked: list[list[str]] = []

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        assert (name, timeout > 0) == ("c1", True)
        self.asked.append(command)
        return (0 if command[-1] in {f"http://localhost:8080{path}" for path in self.paths} else 1), ""


def _container(command: list[str]) -> dict[str, Any]:
    return {"Id": "c1", "Config": {"Healthcheck": {"Test": ["CMD", *command]}}}


NOT_FOUND = "health check: exit 1: wget: server returned error: HTTP/1.1 404 Not Found"


@pytest.mark.parametrize(
    ("there", "tests", "command", "found"),
    [
        (["/healthz", "/"], NOT_FOUND, WGET, "/healthz"),
        (["/", "/metrics"], NOT_FOUND, WGET, "/metrics"),
        (["/"], NOT_FOUND.replace("404", "405"), WGET, "/"),
        (["/"], "exit 8: ERROR 401: Unauthorized.", WGET, "/"),
        ([], NOT_FOUND, WGET, ""),
        # It was asked already.
        (["/health"], NOT_FOUND, WGET, ""),
        (["/"], NOT_FOUND.replace("404", "503"), WGET, ""),
        (["/"], "wget: can't connect to remote host: Connection refused", WGET, ""),
        (["/"], NOT_FOUND, ["/usr/local/bin/api", "health"], ""),
    ],
)
def test_a_page_is_looked_for_where_the_answer_was_that_there_is_none(there: list[str], tests: str, command: list[str], found: str) -> None:
    engine = Answering(*there)
    assert pages.page_instead(engine, _container(command), tests) == found  # type: ignore[arg-type]
    assert all(asked[:-1] == command[:-1] for asked in engine.asked)
    assert bool(engine.asked) is (command == WGET and " 40" in tests)


def test_the_look_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100, 2))
    monkeypatch.setattr(pages.time, "monotonic", lambda: next(now))
    engine = Answering("/")
    assert pages.page_instead(engine, _container(WGET), NOT_FOUND) == ""  # type: ignore[arg-type]
    assert len(engine.asked) == 1


@pytest.mark.engine
def test_a_candidate_without_the_page_is_told_the_one_that_it_has(
    engine: Engine, web: str, settings: Callable[..., dict[str, Any]]
) -> None:
    command = ["mkdir /tmp/web && echo ok > /tmp/web/healthz && exec httpd -f -p 8080 -h /tmp/web"]
    wanted = settings(
        name="utest-pages", publish="", args=command, health_path="/nothing", start_timeout=5, stable_seconds=0, stop_timeout=0
    )
    with pytest.raises(Failure) as caught:
        candidates.prove_candidate(engine, wanted, web, str)
    assert "no page at the path of its health check, and one at /healthz" in caught.value.message
    assert caught.value.remedy.startswith("Set go_service_health_path to /healthz")
