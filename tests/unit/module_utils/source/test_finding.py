"""Where a source is looked for, and what is told where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source import errors, finding


def test_the_first_directory_that_exists_is_taken(tmp_path: Path) -> None:
    for name in ("one", "two/api", "three/api"):
        (tmp_path / name).mkdir(parents=True)
    roots = [str(tmp_path / name) for name in ("one", "two", "three")]
    assert finding.find_source("api", roots) == tmp_path / "two/api"
    assert finding.find_source(str(tmp_path / "three/api"), roots) == tmp_path / "three/api"
    assert finding.find_source("../three/./api", roots[:1]) == tmp_path / "three/api"


def test_a_missing_source_names_every_place_looked_at(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError) as caught:
        finding.find_source("api", [str(tmp_path / "one"), str(tmp_path / "two"), str(tmp_path / "one")])
    assert caught.value.message == f"no such directory: {tmp_path}/one/api, {tmp_path}/two/api"
    assert "go_service_source" in caught.value.remedy


def test_a_source_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "api.tar").touch()
    with pytest.raises(errors.SourceError, match=r"api\.tar is not a directory"):
        finding.find_source("api.tar", [str(tmp_path / "none"), str(tmp_path)])


def test_a_source_that_has_to_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "one/api.tar").mkdir(parents=True)
    (tmp_path / "api.tar").touch()
    assert finding.find_source("api.tar", [str(tmp_path / "one"), str(tmp_path)], file=True) == tmp_path / "api.tar"
    with pytest.raises(errors.SourceError, match=r"one/api\.tar is not a file"):
        finding.find_source("api.tar", [str(tmp_path / "none"), str(tmp_path / "one")], file=True)
    with pytest.raises(errors.SourceError, match=r"no such file: .*/none/api\.tar"):
        finding.find_source("api.tar", [str(tmp_path / "none")], file=True)
