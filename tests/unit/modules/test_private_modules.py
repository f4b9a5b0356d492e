"""Modules that were downloaded before a build: an archive that is the same each time, kept for the next build."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy.ownership import ACCESS, MODULES
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import EngineError
from ansible_collections.proven.go_service.plugins.module_utils.image.module_access import ARCHIVE
from ansible_collections.proven.go_service.plugins.modules import private_modules
from samples import Settings

PROJECT = {"module_dir": ".", "has_requirements": True, "vendored": False}
TOKEN = "t0ken-of-the-host"


def cache(mtime: int, **more: bytes) -> io.BytesIO:
    """Return the archive of a module cache, as the Engine gives it."""
    packed = io.BytesIO()
    files = {"download/a.org/b/@v/v1.0.0.zip": b"zip", "download/a.org/b/@v/v1.0.0.lock": b"", "download/sumdb/sum/latest": b"x", **more}
    with tarfile.open(fileobj=packed, mode="w") as archive:
        directory = tarfile.TarInfo("download")
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uid, entry.mode = len(content), mtime, 7, 0o444
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def names(archive: Path) -> list[str]:
    """Return the names in an archive."""
    with tarfile.open(archive) as opened:
        return opened.getnames()


def test_the_archive_is_the_same_each_time_and_knows_what_it_is_for(tmp_path: Path) -> None:
    for name, mtime in {"one": 1, "other": 1_700_000_000}.items():
        private_modules.repack(cache(mtime), tmp_path / name, "a key")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    # Without locks, and without what the checksum database said.
    assert names(tmp_path / "one") == ["cache/download/a.org/b/@v/v1.0.0.zip"]
    assert private_modules.key_of(tmp_path / "one") == "a key"
    assert private_modules.key_of(tmp_path / "none") == ""
    (tmp_path / "one").write_bytes(b"half an archive")
    assert private_modules.key_of(tmp_path / "one") == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Callable[..., Any]:
    """Return what makes the settings of a service whose context is staged."""
    (tmp_path / "api/context").mkdir(parents=True)
    (tmp_path / "api/context/go.mod").write_text("module a")

    def make(**changes: Any) -> Any:
        return settings(name="api", work_dir=str(tmp_path), build_secrets={"a.org": {"token": TOKEN}}, **changes)

    return make


def test_buildkit_is_given_a_program_for_as_long_as_it_builds(service: Callable[..., Any], tmp_path: Path) -> None:
    wanted = service(builder="buildx")
    made = private_modules.present(wanted, PROJECT, "golang")
    path = tmp_path / "api" / ACCESS
    assert made == {"access": str(path), "code": 0, "printed": []}
    assert path.stat().st_mode & 0o777 == 0o600 and TOKEN in path.read_text()
    private_modules.absent(wanted)
    assert not path.exists()
    private_modules.absent(wanted)


def test_the_classic_builder_is_given_modules_and_they_are_kept(
    service: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(_engine: None, name: str, errand: Any, _directory: str, keep: Callable[[Any], None]) -> tuple[int, list[str]]:
        asked.append((name, errand))
        keep(cache(len(asked)))
        return 0, [f"downloaded with {TOKEN}"]

    monkeypatch.setattr(private_modules.errand, "run", run)
    monkeypatch.setattr(private_modules, "Engine", lambda: None)
    wanted = service(build_env={"GOPROXY": "https://a.org", "GOOS": "plan9"}, build_network="host")
    there, kept = tmp_path / "api/context" / ARCHIVE, tmp_path / "api" / MODULES
    made = private_modules.present(wanted, PROJECT, "golang")
    assert made == {"access": "", "code": 0, "printed": ["downloaded with ***"]}
    assert there.exists() and not kept.exists()
    private_modules.absent(wanted)
    assert kept.exists() and not there.exists()
    # Another token is no reason to download.
    private_modules.present(service(), PROJECT, "golang")
    assert there.exists() and len(asked) == 1
    private_modules.absent(wanted)
    (tmp_path / "api/context/go.mod").write_text("module a\n\nrequire b v1.0.0\n")
    private_modules.present(wanted, PROJECT, "golang")
    assert len(asked) == 2
    name, errand = asked[0]
    assert name == "api-candidate" and errand.network == "host" and errand.files == {"/src/go.mod": b"module a"}
    assert errand.environment["GOPROXY"] == "https://a.org" and errand.environment["GOOS"] == "plan9"
    assert TOKEN in errand.program and TOKEN not in json.dumps(errand.body)


def test_what_the_engine_says_is_told_as_what_the_download_printed(service: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_arguments: Any) -> None:
        raise EngineError("creating the container: network nowhere not found")

    monkeypatch.setattr(private_modules.errand, "run", run)
    monkeypatch.setattr(private_modules, "Engine", lambda: None)
    made = private_modules.present(service(), PROJECT, "golang")
    assert made == {"access": "", "code": -1, "printed": ["creating the container: network nowhere not found"]}


def packed(path: Path, key: str) -> Path:
    """Write an archive of modules that was made for something."""
    private_modules.repack(cache(1), path, key)
    return path


def test_modules_that_are_brought_are_taken_and_nothing_is_downloaded(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the builder is, and without credentials."""
    monkeypatch.setattr(private_modules.errand, "run", lambda *_all: pytest.fail("downloaded"))
    (tmp_path / "api/context").mkdir(parents=True)
    (tmp_path / "api/context/go.mod").write_text("module a")
    key = private_modules.module_access.modules_key({"go.mod": b"module a"}, ".")
    archive = packed(tmp_path / "brought.tar", key)
    for builder in ("docker_image", "buildx"):
        wanted = settings(name="api", work_dir=str(tmp_path), build_modules="/srv/api.tar", builder=builder)
        assert private_modules.present(wanted, PROJECT, "golang", str(archive)) == {"access": "", "code": 0, "printed": []}
        assert (tmp_path / "api/context" / ARCHIVE).read_bytes() == archive.read_bytes()
        private_modules.absent(wanted)


def test_modules_of_another_source_are_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "api/context").mkdir(parents=True)
    (tmp_path / "api/context/go.mod").write_text("module a\n\nrequire b v1.0.0\n")
    wanted = settings(name="api", work_dir=str(tmp_path), build_modules="/srv/api.tar")
    key = private_modules.module_access.modules_key({"go.mod": b"module a"}, ".")
    for archive in (packed(tmp_path / "brought.tar", key), tmp_path / "none.tar"):
        with pytest.raises(private_modules.OtherModules, match=r"for another go\.mod or go\.sum") as error:
            private_modules.present(wanted, PROJECT, "golang", str(archive))
        assert "make bundle" in error.value.remedy and not (tmp_path / "api/context" / ARCHIVE).exists()


def test_modules_are_kept_for_other_hosts_where_the_source_needs_any(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[int, list[str]]] = [(1, ["no such host"]), (0, [])]

    def run(_engine: None, _name: str, _errand: Any, _directory: str, keep: Callable[[Any], None]) -> tuple[int, list[str]]:
        if said[0][0] == 0:
            keep(cache(1))
        return said.pop(0)

    monkeypatch.setattr(private_modules.errand, "run", run)
    monkeypatch.setattr(private_modules, "Engine", lambda: None)
    context, target = tmp_path / "api/context", tmp_path / "kept/api.tar"
    context.mkdir(parents=True)
    wanted = settings(name="api", work_dir=str(tmp_path))
    (context / "main.go").write_text("package main\n\nfunc main() {}\n")
    (context / "go.mod").write_text("module a\n\ngo 1.22\n")
    private_modules.keep(wanted, "golang", target)
    assert not target.exists() and len(said) == 2
    (context / "go.mod").write_text("module a\n\ngo 1.22\n\nrequire b.org/b v1.0.0\n")
    with pytest.raises(private_modules.Problem, match="could not be downloaded") as error:
        private_modules.keep(wanted, "golang", target)
    assert error.value.evidence == ["no such host"]
    private_modules.keep(wanted, "golang", target)
    key = private_modules.module_access.modules_key({"go.mod": (context / "go.mod").read_bytes()}, ".")
    assert private_modules.key_of(target) == key
