"""A source may hold anything: only its own regular files are opened, nothing of it is executed, no file outside of it is shown."""

from __future__ import annotations

import errno
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import files
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import manifest, transfer
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.source import facts
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError

SECRET = "root:$6$canary:1:2:3"


TREE = {
    "go.mod": "module example.com/app\n\ngo 1.22\n",
    "main.go": 'package main\n\nimport (\n\t_ "embed"\n\t"example.com/app/lib"\n)\n\n//go:embed static\nvar s string\n\nfunc main() { lib.F() }\n',
    "lib/lib.go": "package lib\n\nfunc F() {}\n",
    "static/page.html": "<p>",
    "vendor/modules.txt": "# example.org/dep v1.0.0\n",
    "default.pgo": "profile",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the source of a service, with a secret beside it."""
    root = tmp_path / "source"
    for path, content in TREE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    (tmp_path / "outside").mkdir()
    for name in ("secret", "secret.go", "go.mod", "modules.txt"):
        (tmp_path / "outside" / name).write_text(SECRET)
    return root


@pytest.fixture
def read(settings: Callable[..., Settings], tmp_path: Path) -> Callable[[Path], object]:
    """Return what reads a source as a run does, facts first, then all that is packed."""

    def run(root: Path) -> object:
        found = facts.project_facts(root, settings())
        entries = manifest.read_manifest(root, limit_mb=5)
        transfer.write_archive(root, entries, tmp_path / "archive")
        return found, entries

    return run


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def bind(path: Path) -> None:
    """Make a socket; the address of one is short."""
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def sparse(path: Path) -> None:
    """Make a file that would take minutes to read."""
    with open(path, "wb") as stream:
        stream.truncate(1 << 40)


IRREGULAR: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "socket": bind,
    "device": lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5)),
    "directory": os.mkdir,
    "huge file": sparse,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


PASSED_OVER = [("main.go", kind) for kind in ("directory", "dangling link", "link to itself")]


READ = ["go.mod", "go.work", "main.go", "lib/lib.go", "vendor/modules.txt", "default.pgo", "static/page.html", ".dockerignore"]


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("path", READ)
def test_what_is_no_regular_file_neither_hangs_nor_escapes(source: Path, read: Callable[[Path], object], path: str, kind: str) -> None:
    if kind == "device" and os.geteuid():
        pytest.skip("only root makes devices")
    (source / path).touch()
    replace(source / path, IRREGULAR[kind])
    try:
        read(source)
    except (SourceError, ContextError) as error:
        assert error.remedy
        # What Go passes over as well is not there; a source of nothing but such files says so.
        assert Path(path).parts[0] in error.message or (path, kind) in PASSED_OVER, error.message
    else:
        assert path not in ("go.mod", "main.go") or kind == "huge file"


LINKS: dict[str, Callable[[Path, Path], object]] = {
    "absolute": lambda path, target: path.symlink_to(target),
    "relative": lambda path, target: path.symlink_to(os.path.relpath(target, path.parent)),
    "by way of a link": lambda path, target: ((path.parent / "zz").symlink_to(target), path.symlink_to("zz")),
    "by way of a directory": lambda path, target: (
        (path.parent / "zz").symlink_to(target.parent),
        path.symlink_to(f"zz/{target.name}"),
    ),
    # ".." of a link to the top is not what it looks like.
    "by way of the directory above a link": lambda path, target: (
        (path.parent / "zz").symlink_to("." if path.parent.name == "source" else ".."),
        path.symlink_to(f"zz/../outside/{target.name}"),
    ),
}


@pytest.mark.parametrize("way", LINKS)
@pytest.mark.parametrize("path", READ)
def test_a_link_out_of_the_source_is_neither_read_nor_shown(
    source: Path, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch, path: str, way: str
) -> None:
    target = source.parent / "outside" / {"go.mod": "go.mod", "vendor/modules.txt": "modules.txt"}.get(path, "secret")
    (source / path).touch()
    replace(source / path, lambda place: LINKS[way](place, target))
    assert (source / path).read_text() == SECRET
    with pytest.raises((SourceError, ContextError)) as caught:
        read(source)
    assert "canary" not in str(caught.value) + caught.value.remedy
    assert caught.value.remedy
    assert "link" in caught.value.message


@pytest.mark.parametrize("directory", ["lib", "static", "vendor"])
def test_a_directory_that_is_a_link_out_of_the_source_is_not_looked_into(
    source: Path, read: Callable[[Path], object], directory: str
) -> None:
    for file in (source / directory).iterdir():
        file.unlink()
    (source / directory).rmdir()
    (source / directory).symlink_to(source.parent / "outside")
    with pytest.raises((SourceError, ContextError), match="link") as caught:
        read(source)
    assert "canary" not in str(caught.value)


def test_a_link_within_the_source_is_followed(source: Path, read: Callable[[Path], object]) -> None:
    (source / "build").mkdir()
    (source / "go.mod").rename(source / "build/go.mod")
    (source / "go.mod").symlink_to("build/../build/go.mod")
    (source / "lib").rename(source / "code")
    (source / "lib").symlink_to("code")
    found, _entries = read(source)
    assert found["module_path"] == "example.com/app"


def test_a_link_to_outside_that_is_kept_out_does_no_harm(source: Path, settings: Callable[..., Settings]) -> None:
    (source / "lib/local.go").symlink_to(source.parent / "outside/secret.go")
    assert facts.project_facts(source, settings())["main_package"] == "."


def test_a_directory_that_becomes_a_link_meanwhile_is_not_followed(source: Path) -> None:
    entries = manifest.read_manifest(source)
    (source / "lib").rename(source / "was")
    (source / "lib").symlink_to(source.parent / "outside")
    (source.parent / "outside/lib.go").write_text("x" * len(TREE["lib/lib.go"]))
    with pytest.raises(ContextError, match=r"lib/lib\.go"):
        transfer.write_archive(source, entries, source.parent / "archive")


def test_a_text_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    sparse(tmp_path / "go.mod")
    with pytest.raises(files.Refused) as caught:
        files.read_source_file(tmp_path, tmp_path / "go.mod")
    assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / "go.mod"), "it is larger than 16 MiB")


def test_no_descriptor_is_left_open(source: Path, read: Callable[[Path], object]) -> None:
    read(source)
    before = len(os.listdir("/proc/self/fd"))
    read(source)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("broken")

    (tmp_path / "f").write_text("old")
    with pytest.raises(OSError, match="broken"):
        files.write_file(tmp_path / "f", Broken(), 0o644)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("f", "old")]


def test_a_write_that_fails_names_its_file(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        files.write_file(tmp_path / "x", Full(), 0o600)
    assert caught.value.filename == str(tmp_path / "x")
