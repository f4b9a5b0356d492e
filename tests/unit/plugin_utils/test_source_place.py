"""A relative source on the controller is looked for in the same places, in the same order, whether it is a directory or a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.plugin_utils import source_place

PLACES = ("current", "inventory", "above/playbooks", "above")


@pytest.mark.parametrize("kind", ["directory", "file"])
@pytest.mark.parametrize("first", range(len(PLACES)))
def test_the_first_place_that_has_it_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, first: int) -> None:
    for number, place in enumerate(PLACES):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        path = tmp_path / place / "api"
        if number >= first:
            path.mkdir() if kind == "directory" else path.touch()
    monkeypatch.chdir(tmp_path / "current")
    find = source_place.directory_on_controller if kind == "directory" else source_place.file_on_controller
    found = find("api", str(tmp_path / "inventory"), str(tmp_path / "above/playbooks"))
    assert Path(found) == tmp_path / PLACES[first] / "api"


def test_the_collection_comes_last_and_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert source_place.directory_on_controller("examples/cat-server", "", str(tmp_path)).samefile(
        source_place.COLLECTION / "examples/cat-server"
    )
    (tmp_path / "api.tar").touch()
    assert source_place.file_on_controller("~/api.tar") == str(tmp_path / "api.tar")


def test_a_file_that_is_nowhere_is_told_with_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as told:
        source_place.file_on_controller("api.tar", str(tmp_path / "inventory"), str(tmp_path / "plays/x"))
    assert all(str(tmp_path / place) in str(told.value) for place in ("api.tar", "inventory/api.tar", "plays/x/api.tar", "plays/api.tar"))
    assert "go_service_source" in str(told.value)
