"""The authority of a registry is made known to the Engine of this machine, and to no other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import trust as subject
from ansible_collections.proven.go_service.plugins.module_utils.engine.trust import NotTrusted, place, trust


def engine(docker_host: str = "unix:///var/run/docker.sock", *options: str) -> Any:
    """Return an Engine at an address."""
    return SimpleNamespace(address=SimpleNamespace(docker_host=docker_host), info=lambda: {"SecurityOptions": list(options)})


@pytest.fixture(autouse=True)
def directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subject, "_SYSTEM", tmp_path / "etc")
    monkeypatch.setattr(subject, "_OWN", tmp_path / "own")


def test_it_is_written_once_and_beside_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "etc/registry.example.com:5000"
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("of an administrator")
    assert [trust(engine(), "registry.example.com:5000/team", text) for text in ("first", "first", "second", "")] == [
        True,
        False,
        True,
        False,
    ]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"ca.crt": "of an administrator", "go-service.crt": "second"}
    assert (folder / "go-service.crt").stat().st_mode & 0o777 == 0o644


def test_an_engine_without_root_has_a_place_of_its_own(tmp_path: Path) -> None:
    assert place(engine("unix:///run/user/1000/docker.sock", "name=rootless"), "r:5000/x") == tmp_path / "own/r:5000/go-service.crt"


def test_an_engine_elsewhere_is_told_with_what_to_do() -> None:
    with pytest.raises(NotTrusted, match="on another machine") as told:
        trust(engine("ssh://dev@vm"), "r:5000/x", "text")
    assert "/etc/docker/certs.d/r:5000/ca.crt" in told.value.remedy


def test_a_place_that_may_not_be_written_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(subject, "write_text", refuse)
    with pytest.raises(NotTrusted, match=r"cannot be written to .*Permission denied"):
        trust(engine(), "r:5000/x", "text")
