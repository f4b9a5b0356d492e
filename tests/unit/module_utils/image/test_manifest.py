"""The manifest of a source on real file systems, and what its digest sees."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image import manifest
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules
from ansible_collections.proven.go_service.plugins.module_utils.image.manifest import Entry
from trees import CHANGES, paths


def test_a_file_that_grows_while_it_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_text("one line")
    real = manifest.open_beneath

    def grown(root: str, path: str) -> object:
        with open(tmp_path / "log", "a", encoding="utf-8") as log:
            log.write("another")
        return real(root, path)

    monkeypatch.setattr(manifest, "open_beneath", grown)
    with pytest.raises(ContextError, match="log changed while the source was read"):
        manifest.read_manifest(tmp_path)


def test_a_file_that_grows_behind_its_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look at its size and the end of its reading."""
    (tmp_path / "log").write_text("one line")
    real = manifest.open_beneath

    class Growing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(8)

    monkeypatch.setattr(manifest, "open_beneath", lambda root, path: Growing(real(root, path).read() + b", and another"))
    with pytest.raises(ContextError, match="log changed while the source was read"):
        manifest.read_manifest(tmp_path)


def digest(root: Path, *lines: str) -> str:
    """Return the digest of a tree's manifest under the rules of .dockerignore lines."""
    return manifest.manifest_digest(manifest.read_manifest(root, IgnoreRules(lines)))


def test_a_file_let_back_brings_its_directories(root: Path) -> None:
    assert paths(root, "a", "!a/b/c/deep.go", "run.sh", "link", "empty") == ["a", "a/b", "a/b/c", "a/b/c/deep.go", "go.mod", "main.go"]


def test_an_ignored_directory_is_not_read(unprivileged: Path) -> None:
    closed = unprivileged / "closed"
    closed.mkdir(mode=0o000)
    assert paths(unprivileged, "closed") == []
    with pytest.raises(ContextError):
        paths(unprivileged)
    closed.chmod(0o700)


NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "a file's time": lambda root: os.utime(root / "main.go", (1, 1)),
    "a directory's time": lambda root: os.utime(root / "a", (1, 1)),
    "the same content written again": lambda root: ((root / "main.go").unlink(), (root / "main.go").write_text("package main")),
    "an ignored file": lambda root: (root / "secret.pem").write_text("x"),
    "another ignored file": lambda root: (root / "a/b/.env").write_text("x"),
    "group and other permissions": lambda root: (root / "main.go").chmod(0o600),
    "a closed directory": lambda root: (root / "a").chmod(0o700),
    "a socket": lambda root: socket.socket(socket.AF_UNIX).bind(os.path.relpath(root / "s")),
    "a pipe": lambda root: os.mkfifo(root / "p"),
    "nothing": lambda root: None,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_digest_sees(root: Path, change: Callable[[Path], object]) -> None:
    before = digest(root, "**/*.pem", "**/.env")
    change(root)
    assert digest(root, "**/*.pem", "**/.env") != before


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_the_digest_does_not_see(root: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]) -> None:
    monkeypatch.chdir(root.parent)
    before = digest(root, "**/*.pem", "**/.env")
    change(root)
    assert digest(root, "**/*.pem", "**/.env") == before


def test_the_digest_is_the_same_whatever_the_umask_and_the_order(tmp_path: Path) -> None:
    found = set()
    for umask, names in ((0o000, "abc"), (0o077, "cba"), (0o027, "bca")):
        tree = tmp_path / names
        before = os.umask(umask)
        try:
            for name in names:
                (tree / f"{name}/d").mkdir(parents=True)
                (tree / f"{name}/f").write_text(name)
        finally:
            os.umask(before)
        found.add(digest(tree))
    assert len(found) == 1


def test_no_two_manifests_have_one_digest_by_shifted_borders() -> None:
    first = [Entry("a", manifest.FILE, False, "b", 0), Entry("c", manifest.FILE, False, "d", 0)]
    second = [Entry('a", "f', manifest.FILE, False, "b", 0), Entry("c", manifest.FILE, False, "d", 0)]
    assert manifest.manifest_digest(first) != manifest.manifest_digest(second)
    assert manifest.manifest_digest(first) != manifest.manifest_digest(first[:1])


def test_a_link_is_never_followed(root: Path) -> None:
    (root / "up").symlink_to("a/..")
    (root / "dangling").symlink_to("a/nothing")
    (root / "directory").symlink_to("a")
    entries = {entry.path: entry for entry in manifest.read_manifest(root)}
    assert [entries[name].content for name in ("up", "dangling", "directory")] == ["a/..", "a/nothing", "a"]
    assert not [path for path in entries if path.startswith(("up/", "directory/"))]


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "a/../../x", "a/b/../../../x"])
def test_a_link_that_leaves_is_refused_unless_ignored(root: Path, target: str) -> None:
    (root / "a/out").symlink_to("../" + target if target[0] != "/" else target)
    with pytest.raises(ContextError) as caught:
        manifest.read_manifest(root)
    assert "a/out" in caught.value.message and target in caught.value.message
    assert "go_service_dockerignore" in caught.value.remedy
    assert "a/out" not in paths(root, "a/out")


def test_a_name_that_is_not_utf8_is_refused_unless_ignored(root: Path) -> None:
    name = os.fsencode(root) + b"/a/\xff.go"
    with open(name, "wb"):
        pass
    with pytest.raises(ContextError, match="not valid UTF-8") as caught:
        manifest.read_manifest(root)
    caught.value.message.encode()
    assert "Rename" in caught.value.remedy
    assert paths(root, "a/*.go")


@pytest.mark.parametrize("path", ["file", "closed"])
def test_what_cannot_be_read_is_named(unprivileged: Path, path: str) -> None:
    (unprivileged / "file").touch(mode=0o000 if path == "file" else 0o600)
    (unprivileged / "closed").mkdir(mode=0o000 if path == "closed" else 0o700)
    with pytest.raises(ContextError, match=f"/{path} cannot be read: Permission denied") as caught:
        manifest.read_manifest(unprivileged)
    assert "Make it readable" in caught.value.remedy
    assert paths(unprivileged, path)
    (unprivileged / "closed").chmod(0o700)


def test_what_vanishes_meanwhile_is_named(root: Path) -> None:
    looking = manifest.walk(root)
    next(looking)
    shutil.rmtree(root / "a")
    with pytest.raises(ContextError, match="/a vanished while the source was read"):
        list(looking)


DECIDES = {
    "manifest": "m",
    "dockerfile": "FROM a",
    "dockerignore": "b",
    "values": "5eed",
    "bases": {"alpine": "sha256:1", "golang": "sha256:2"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"manifest": "n"},
        {"dockerfile": "FROM a\n"},
        {"dockerignore": ""},
        {"values": "5eee"},
        {"values": ""},
        {"bases": {"alpine": "sha256:3", "golang": "sha256:2"}},
        {"bases": {"alpine:3": "sha256:1", "golang": "sha256:2"}},
    ],
    ids=str,
)
def test_all_that_decides_a_build_is_in_its_digest(change: dict[str, object]) -> None:
    assert manifest.content_digest(**{**DECIDES, **change}) != manifest.content_digest(**DECIDES)


def test_the_content_digest_is_stable() -> None:
    """A new digest makes every host build anew: change DIGEST_FORMAT and this value together, on purpose."""
    reordered = {**DECIDES, "bases": dict(reversed(DECIDES["bases"].items()))}
    assert manifest.content_digest(**reordered) == manifest.content_digest(**DECIDES)
    assert manifest.content_digest(**DECIDES).startswith("c13032667302")
    # The one of every version before, which hashed the build arguments as they are.
    assert manifest.content_digest(**{**DECIDES, "values": ""}).startswith("d09bbd6cf6d5")


def test_a_context_at_the_limit_is_taken(root: Path) -> None:
    (root / "big").write_bytes(bytes(900_000))
    entries = manifest.read_manifest(root)
    total = sum(entry.size for entry in entries)
    assert manifest.check_size(entries, total / 1e6, root) == total


def test_a_context_over_the_limit_names_what_is_largest(root: Path) -> None:
    for number in range(7):
        (root / f"d{number}/e").mkdir(parents=True)
        (root / f"d{number}/e/big").write_bytes(bytes(100_000 * (number + 1)))
    (root / "movie.bin").write_bytes(bytes(2_000_000))
    with pytest.raises(ContextError) as caught:
        manifest.check_size(manifest.read_manifest(root), 1.5, root)
    assert "4.8 MB" in caught.value.message and "limit of 1.5 MB" in caught.value.message
    assert caught.value.message.endswith("largest: movie.bin 2.0 MB, d6/ 0.7 MB, d5/ 0.6 MB, d4/ 0.5 MB, d3/ 0.4 MB")
    assert "go_service_context_limit_mb" in caught.value.remedy
    assert "does not seem to need" not in caught.value.remedy
    with pytest.raises(ContextError) as caught:
        manifest.check_size(manifest.read_manifest(root), 1.5, root, needed={"d6", "d4"})
    assert caught.value.remedy.startswith(
        'The build does not seem to need movie.bin, d5/, d3/: exclude it, go_service_dockerignore: ["/movie.bin", "/d5", "/d3"]. Or raise'
    )


def test_a_manifest_has_of_each_path_what_a_build_can_see_and_no_more(root: Path) -> None:
    (root / "a/b/c/deep.go").chmod(0o755)
    found = manifest.read_manifest(root, IgnoreRules(["a", "!a/b/c/deep.go", "go.mod"]))
    main, deep = (hashlib.sha256(text).hexdigest() for text in (b"package main", b"package c"))
    script = hashlib.sha256(b"#!/bin/sh").hexdigest()
    assert found == [
        Entry("a", "d", False, "", 0),
        Entry("a/b", "d", False, "", 0),
        Entry("a/b/c", "d", False, "", 0),
        Entry("a/b/c/deep.go", "f", True, deep, 9),
        Entry("empty", "d", False, "", 0),
        Entry("link", "l", False, "a/b/c/deep.go", 0),
        Entry("main.go", "f", False, main, 12),
        Entry("run.sh", "f", True, script, 9),
    ]
    with pytest.raises(FrozenInstanceError):
        found[0].size = 1  # type: ignore[misc]


def test_a_path_that_is_skipped_takes_no_other_with_it(root: Path) -> None:
    every = {entry.path for entry in manifest.read_manifest(root)}
    for path in ("go.mod", "link", "run.sh", "empty"):
        assert {entry.path for entry in manifest.read_manifest(root, skip=[path])} == every - {path}


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("l", "/etc/passwd", True),
        ("l", "..", True),
        ("a/l", "..", False),
        ("a/l", "../..", True),
        ("a/l", "../../x", True),
        ("l", "..x", False),
        ("l", "a/../b", False),
        ("l", "a/../../b", True),
    ],
)
def test_a_link_leaves_by_an_absolute_path_or_by_more_steps_up_than_down(path: str, target: str, out: bool) -> None:
    assert manifest.leaves(path, target) is out


def test_a_link_that_leaves_by_way_of_another_one_or_comes_back_by_an_absolute_path_is_refused(root: Path) -> None:
    (root / "a/b/c/up").symlink_to("../../..")
    manifest.read_manifest(root)
    (root / "out").symlink_to("a/b/c/up/../x")
    with pytest.raises(ContextError, match=r"the symbolic link out points to a/b/c/up/\.\./x"):
        manifest.read_manifest(root)
    (root / "out").unlink()
    (root / "back").symlink_to(root / "main.go")
    with pytest.raises(ContextError, match="the symbolic link back points to"):
        manifest.read_manifest(root)


class Less:
    """Leaves out what is called `*.tmp`, and all that is below `deep`, but looks there for files that are needed."""

    def __init__(self, *, looks: bool = True) -> None:
        self.thinned: set[str] = set()
        self._looks = looks
        self.asked: list[str] = []

    def drops(self, path: str, entry: os.DirEntry) -> bool:
        """Say whether a path is left out."""
        self.asked.append(path)
        out = path.endswith(".tmp") or (path.startswith("deep") and not path.endswith("needed"))
        if out:
            self.thinned.update(manifest.parents(path))
        return out

    def holds_needed(self, directory: str) -> bool:
        """Say whether to look there."""
        return self._looks


def test_a_directory_goes_with_the_last_thing_in_it_that_is_left_out(tmp_path: Path) -> None:
    for path in ("gone/x/a.tmp", "half/a.tmp", "half/b", "half/gone/a.tmp", "deep/x/needed", "deep/y/other", "ignored/c"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "empty").mkdir()
    less = Less()
    found = [entry.path for entry in manifest.read_manifest(tmp_path, IgnoreRules(["ignored"]), leftovers=less)]
    assert found == ["deep", "deep/x", "deep/x/needed", "empty", "half", "half/b"]
    assert not [path for path in less.asked if path.startswith("ignored")]
    closed = [entry.path for entry in manifest.read_manifest(tmp_path, leftovers=Less(looks=False))]
    assert closed == ["empty", "half", "half/b", "ignored", "ignored/c"]


def test_the_digest_of_a_manifest_is_stable() -> None:
    """As that of the content: another one makes every host build anew."""
    entries = [Entry("é.go", "f", True, "0" * 64, 7), Entry("d", "d", False, "", 0), Entry("l", "l", False, "é.go", 0)]
    assert manifest.manifest_digest(entries) == "a6ae94b76356458660616aa677dde7197595961545a36d674584df8a2511331e"


def test_what_is_sent_and_deleted_makes_one_manifest_of_another() -> None:
    same, changed, new = Entry("a", "f", False, "1", 1), Entry("b", "f", False, "2", 1), Entry("c", "d", False, "", 0)
    present = [["a", "f", False, "1"], ("b", "f", False, "9"), ["z", "f", False, "1"], ["y", "d", False, ""]]
    assert manifest.difference([same, changed, new], present) == ([changed, new], ["y", "z"])
    assert manifest.difference([same], [same.identity]) == ([], [])
