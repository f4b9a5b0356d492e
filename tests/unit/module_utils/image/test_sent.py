"""Archives on their way are known by their names: whose they are, and where a killed run left them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image import sent

RUN = "laptop/1f/boot-id|4711|998877"


def test_a_name_tells_the_run() -> None:
    name = sent.file_name(RUN)
    assert sent.sender(f"/home/dev/.ansible/tmp/x/{name}") == RUN
    assert "/" not in name and len(name) < 255


@pytest.mark.parametrize("name", ["go-service-image-.tar.gz", "go-service-image-%.tar.gz", "other.tar.gz", ""])
def test_another_name_tells_none(name: str) -> None:
    assert sent.sender(name) == ""


def test_archives_are_found_and_removed_with_their_empty_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = []
    for folder in ("one", "two"):
        place = tmp_path / ".ansible/tmp" / folder
        place.mkdir(parents=True)
        paths.append(place / sent.file_name(RUN))
        paths[-1].touch()
    (paths[1].parent / "kept").touch()
    assert sent.found("~/.ansible/tmp", "") == list(map(str, paths))
    assert sent.remove([*map(str, paths), str(paths[1].parent / "kept"), str(tmp_path / "gone" / paths[0].name)]) == list(map(str, paths))
    assert not paths[0].parent.exists() and (paths[1].parent / "kept").exists()
