"""The build context on real file systems: what is let in, what the digest sees, how it travels."""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import files
from ansible_collections.proven.go_service.plugins.module_utils.image import manifest, transfer
from ansible_collections.proven.go_service.plugins.module_utils.image.context import read_context
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules
from ansible_collections.proven.go_service.plugins.module_utils.image.manifest import Entry
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from docker.utils import exclude_paths  # docker_image has a copy of it.

Generate = Callable[..., dict[str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a small source tree."""
    tree = tmp_path / "source"
    for path, content in {"go.mod": "module x", "main.go": "package main", "a/b/c/deep.go": "package c", "run.sh": "#!/bin/sh"}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    (tree / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("a/b/c/deep.go")
    (tree / "empty").mkdir()
    return tree


def digest(root: Path, *lines: str) -> str:
    """Return the digest of a tree's manifest under the rules of .dockerignore lines."""
    return manifest.manifest_digest(manifest.read_manifest(root, IgnoreRules(lines)))


def paths(root: Path, *lines: str) -> list[str]:
    """Return the paths of a tree's manifest."""
    return [entry.path for entry in manifest.read_manifest(root, IgnoreRules(lines))]


# The rules of .dockerignore


@pytest.mark.parametrize(
    ("lines", "ignored", "seen"),
    [
        pytest.param(["a"], ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"], id="a name at the top, and all below"),
        pytest.param(["/a/", "./b", "c/../d"], ["a/x", "b", "d"], ["x/a", "c"], id="cleaned as paths"),
        pytest.param(["**/a"], ["a", "x/a", "x/y/a/z"], ["xa", "ax"], id="any depth"),
        pytest.param(["a/**"], ["a/b", "a/b/c"], ["a", "b/a/c"], id="all below"),
        pytest.param(["a/**/z"], ["a/z", "a/b/c/z"], ["a/bz", "z"], id="any depth between"),
        pytest.param(["a**z"], ["az", "ab/z"], ["abz"], id="** stands for whole directories"),
        pytest.param(["*.md", "?.go"], ["x.md", "a.go"], ["d/x.md", "ab.go", "/.go"], id="within one name"),
        pytest.param(["[a-c]x", "[^a]y", r"\*z"], ["bx", "by", "*z"], ["dx", "ay", "az"], id="classes and escapes"),
        pytest.param(["x[[]1].md"], ["x[1].md"], ["x1.md", "x[[]1].md"], id="a bracket in a name"),
        pytest.param(["# a", "", "  b  "], ["b"], ["a", "# a"], id="comments and blanks"),
        pytest.param(["*.md", "!keep.md"], ["x.md"], ["keep.md"], id="let back in"),
        pytest.param(["*.md", "!keep.md", "keep.*"], ["keep.md"], ["keep/x"][:0], id="the last rule decides"),
        pytest.param(["a", "!a/b", "a/b/c"], ["a", "a/x", "a/b/c", "a/b/c/d"], ["a/b", "a/b/x"], id="rules within rules"),
        pytest.param(["*", "!cmd", "**/*.pem"], ["x", "cmd/a.pem", "cmd/x/b.pem"], ["cmd", "cmd/main.go"], id="allow list"),
        pytest.param(["a.b", "(c)", "d+"], ["a.b", "(c)", "d+"], ["axb", "c", "dd"], id="no regular expressions"),
        pytest.param(["."], [], ["a"], id="the top itself is never left out"),
    ],
)
def test_rules(lines: list[str], ignored: list[str], seen: list[str]) -> None:
    rules = IgnoreRules(lines)
    assert [path for path in ignored if not rules.ignored(path)] == []
    assert [path for path in seen if rules.ignored(path)] == []


@pytest.mark.parametrize("line", ["[z-a]", "x[]", "a[^]"])
def test_an_invalid_pattern_is_named(line: str) -> None:
    with pytest.raises(ContextError) as caught:
        IgnoreRules(["a", line, "b[c]"])
    assert repr(line) in caught.value.message
    assert "go_service_dockerignore" in caught.value.remedy


def test_a_file_let_back_brings_its_directories(root: Path) -> None:
    assert paths(root, "a", "!a/b/c/deep.go", "run.sh", "link", "empty") == ["a", "a/b", "a/b/c", "a/b/c/deep.go", "go.mod", "main.go"]


def test_an_ignored_directory_is_not_read(unprivileged: Path) -> None:
    closed = unprivileged / "closed"
    closed.mkdir(mode=0o000)
    assert paths(unprivileged, "closed") == []
    with pytest.raises(ContextError):
        paths(unprivileged)
    closed.chmod(0o700)


NAMES = [".env", ".env.local", ".envrc", "id_rsa", "id_rsa.pub", "server.pem", "a.key", "README.md", "README", "notes.md", "Dockerfile.dev"]
NAMES += ["compose.yml", ".gitignore", "coverage.out", ".DS_Store", "b.swp", "x_test.go", "x.test"]
PLAIN = ["main.go", "a.go", "key.go", "pem", "é.go", "x y", "a", "index.html", "docs"]
DIRECTORIES = [".git", ".github", "node_modules", "__pycache__", ".ssh", ".aws", "docs.md", "README", "x.pem", "y.key", "z_test.go"]
PLAIN_DIRECTORIES = ["a", "cmd", "vendor", "internal", ".hidden", "é"]


def grow(root: Path, dice: random.Random, depth: int = 0) -> None:
    """Make a random tree of names that the rules are about, and of others."""
    root.mkdir(exist_ok=True)
    for name in [*dice.sample(NAMES, 4), *dice.sample(PLAIN, 4)]:
        if not (root / name).is_dir():
            (root / name).write_text("")
    for name in [*dice.sample(DIRECTORIES, 2), *dice.sample(PLAIN_DIRECTORIES, 2)] if depth < 3 else ():
        if not (root / name).exists():
            grow(root / name, dice, depth + 1)


PATTERNS = ["/cmd/", "**/a", "a", "*.go", "vendor/**", "**/vendor", "cmd/*/a", "[a-c]*", "**/?.go", "docs*", "a/**/main.go", "x y", "é*"]


@pytest.mark.parametrize("seed", range(8))
def test_the_same_paths_as_community_docker(generate: Generate, tmp_path: Path, seed: int) -> None:
    """Deny lists, as the role writes them with patterns of the user's behind, let the same paths through on generated trees.

    Not compared, since they differ on purpose; staging makes the difference harmless, because the module's matcher then works on a
    tree that holds nothing else: it lets the generated files through by rules of its own, and what is in a directory whose name one of
    these begins with (`.docker/config.json`, see below); it takes `[^a]` and backslashes literally, which Docker does not.
    """
    dice = random.Random(seed)
    grow(tmp_path / "tree", dice)
    extra = dice.sample(PATTERNS, dice.randrange(4))
    lines = generate(dockerignore=extra, run_tests=seed % 2 == 1)["dockerignore"].splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    expected = exclude_paths(str(tmp_path / "tree"), patterns)
    found = {path for path, _entry in manifest.walk(tmp_path / "tree", IgnoreRules(lines))}
    assert found == expected
    assert 0 < len(found) < sum(1 for _ in (tmp_path / "tree").rglob("*"))


@pytest.mark.parametrize("seed", range(4))
def test_the_builder_drops_nothing_of_what_is_staged(generate: Generate, tmp_path: Path, seed: int) -> None:
    """The digest sees what the builder sees: community.docker's matcher lets all of a staged tree through."""
    grow(tmp_path / "tree", random.Random(seed))
    lines = generate(dockerignore=["!README.md", "!.env.local"])["dockerignore"].splitlines()
    entries = manifest.read_manifest(tmp_path / "tree", IgnoreRules(lines))
    transfer.write_archive(tmp_path / "tree", entries, tmp_path / "archive")
    (tmp_path / "staged").mkdir()
    transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [])
    assert exclude_paths(str(tmp_path / "staged"), lines) == {entry.path for entry in entries}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("conf/.htpasswd", ["conf/.htpasswd"]),
        ("conf/Server.PEM", ["conf/Server.PEM"]),
        (".azure/token", [".azure"]),
        ("a/credentials", ["a/credentials"]),
        ("credentials/credentials.go", []),
        ("id_generator.go", []),
        ("secret.go", []),
    ],
)
def test_what_the_contract_takes_for_a_credential_reaches_no_builder(
    generate: Generate, settings: Callable[..., dict], tmp_path: Path, path: str, expected: list[str]
) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    rendered = generate()["dockerignore"]
    entries, text = read_context(tmp_path, rendered, settings(), {"embedded_files": []})
    assert text[len(rendered) :].splitlines()[2:] == expected
    assert (path in [entry.path for entry in entries]) is (not expected)
    with_it, _text = read_context(
        tmp_path, generate(dockerignore=[f"!{path}"])["dockerignore"], settings(dockerignore=[f"!{path}"]), {"embedded_files": []}
    )
    assert expected == [".azure"] or path in [entry.path for entry in with_it]


@pytest.mark.parametrize(
    "case",
    [
        (".", ["*"], ["!app/go.mod", "!app/*.go"]),
        (".", ["**/*.mod"], ["!app/go.mod"]),
        (".", ["app/page.html", "**/*.mod"], ["!app/go.mod", "!app/page.html"]),
        ("./cmd/api", ["app/cmd"], ["!app/cmd/api/*.go"]),
        ("./cmd/api", ["**"], ["!app/go.mod", "!app/cmd/api/*.go"]),
    ],
)
def test_patterns_that_keep_out_what_the_build_needs(
    generate: Generate, settings: Callable[..., dict], tmp_path: Path, case: tuple[str, list[str], list[str]]
) -> None:
    """What the remedy says is enough, and the least."""
    main_package, patterns, remedy = case
    (tmp_path / "app/cmd/api").mkdir(parents=True)
    for path in ("app/go.mod", "app/main.go", "app/cmd/api/main.go", "app/page.html"):
        (tmp_path / path).touch()
    embedded = ["app/page.html"] if "app/page.html" in patterns else []
    project = {"embedded_files": embedded, "module_dir": "app", "main_package": main_package}

    def read(*added: str) -> list:
        changes = {"dockerignore": [*patterns, *added]}
        return read_context(tmp_path, generate(**changes)["dockerignore"], settings(**changes), project)[0]

    with pytest.raises(ContextError) as caught:
        read()
    assert "go_service_dockerignore" in caught.value.remedy
    assert re.findall('"(.*?)"', caught.value.remedy) == remedy
    for number in range(len(remedy)):
        with pytest.raises(ContextError):
            read(*remedy[:number], *remedy[number + 1 :])
    assert read(*remedy)


def test_an_embedded_credential_of_the_further_kinds_is_a_question(
    generate: Generate, settings: Callable[..., dict], tmp_path: Path
) -> None:
    (tmp_path / "credentials.json").touch()
    with pytest.raises(SourceError, match=r"credentials\.json"):
        read_context(tmp_path, generate()["dockerignore"], settings(), {"embedded_files": ["credentials.json"]})


def test_registry_credentials_stay_out_where_community_docker_lets_them_in(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text("{}")
    lines = generate()["dockerignore"].splitlines()
    assert exclude_paths(str(tmp_path), list(lines)) == {".docker/config.json"}
    assert paths(tmp_path, *lines) == []


# The manifest and its digest

CHANGES: dict[str, Callable[[Path], object]] = {
    "a changed file": lambda root: (root / "main.go").write_text("package Main"),
    "a changed deep file": lambda root: (root / "a/b/c/deep.go").write_text("package d"),
    "a file with one byte more": lambda root: (root / "main.go").write_text("package main\n"),
    "an added file": lambda root: (root / "a/new.go").touch(),
    "a removed file": lambda root: (root / "main.go").unlink(),
    "a renamed file": lambda root: (root / "main.go").rename(root / "mainn.go"),
    "an execute bit": lambda root: (root / "main.go").chmod(0o744),
    "no execute bit": lambda root: (root / "run.sh").chmod(0o644),
    "an added empty directory": lambda root: (root / "a/empty").mkdir(),
    "a removed empty directory": lambda root: (root / "empty").rmdir(),
    "a link to elsewhere": lambda root: ((root / "link").unlink(), (root / "link").symlink_to("main.go")),
    "a file in place of a link": lambda root: ((root / "link").unlink(), (root / "link").write_text("package c")),
    "a file in place of a directory": lambda root: ((root / "empty").rmdir(), (root / "empty").touch()),
    "a link in place of a directory": lambda root: ((root / "empty").rmdir(), (root / "empty").symlink_to("a")),
}
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


# What decides a build

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


# Size


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
    assert "largest: movie.bin 2.0 MB, d6/ 0.7 MB, d5/ 0.6 MB, d4/ 0.5 MB, d3/ 0.4 MB" in caught.value.message
    assert "go_service_context_limit_mb" in caught.value.remedy


# The way to the target


def bring_in_line(source: Path, staged: Path) -> tuple[list[str], list[str]]:
    """Stage a source as a run does; return (paths sent, paths deleted)."""
    staged.mkdir(exist_ok=True)
    wanted = manifest.read_manifest(source)
    send, delete = manifest.difference(wanted, [entry.identity for entry in manifest.read_manifest(staged)])
    archive = staged.with_suffix(".tar.gz")
    transfer.write_archive(source, send, archive)
    transfer.apply_archive(staged, archive, delete)
    assert manifest.read_manifest(staged) == wanted
    return [entry.path for entry in send], delete


def test_a_tree_arrives_as_it_is(root: Path, tmp_path: Path) -> None:
    (root / "main.go").chmod(0o600)
    (root / "a").chmod(0o700)
    before = os.umask(0o077)
    try:
        bring_in_line(root, tmp_path / "staged")
    finally:
        os.umask(before)
    modes = {path.name: path.lstat().st_mode & 0o777 for path in (tmp_path / "staged").rglob("*") if not path.is_symlink()}
    assert modes == {
        "a": 0o755,
        "b": 0o755,
        "c": 0o755,
        "empty": 0o755,
        "run.sh": 0o755,
        "deep.go": 0o644,
        "go.mod": 0o644,
        "main.go": 0o644,
    }
    assert not [path for path in (tmp_path / "staged").rglob(".staging-*")]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_only_what_changed_travels(root: Path, tmp_path: Path, change: Callable[[Path], object]) -> None:
    bring_in_line(root, tmp_path / "staged")
    change(root)
    sent, deleted = bring_in_line(root, tmp_path / "staged")
    assert len(sent) + len(deleted) in (1, 2)
    assert bring_in_line(root, tmp_path / "staged") == ([], [])


KINDS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text("x"),
    "directory": lambda path: ((path / "d").mkdir(parents=True), (path / "d/f").touch()),
    "link": lambda path: path.symlink_to("main.go"),
    "link to a directory": lambda path: path.symlink_to("a"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("after", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("before", KINDS.values(), ids=KINDS)
def test_a_path_changes_its_kind(root: Path, tmp_path: Path, before: Callable[[Path], object], after: Callable[[Path], object]) -> None:
    before(root / "thing")
    bring_in_line(root, tmp_path / "staged")
    if (root / "thing").is_dir() and not (root / "thing").is_symlink():
        shutil.rmtree(root / "thing")
    else:
        (root / "thing").unlink(missing_ok=True)
    after(root / "thing")
    bring_in_line(root, tmp_path / "staged")
    assert (tmp_path / "staged/a/b/c/deep.go").read_text() == "package c"
    assert (tmp_path / "staged/main.go").read_text() == "package main"


@pytest.mark.parametrize("seed", range(3))
def test_any_tree_becomes_any_other(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(3):
        grow(tmp_path / f"tree{number}", dice)
        bring_in_line(tmp_path / f"tree{number}", tmp_path / "staged")


def test_an_archive_has_neither_times_nor_owners(root: Path, tmp_path: Path) -> None:
    written = []
    for number in (1, 2):
        os.utime(root / "main.go", (number, number))
        transfer.write_archive(root, manifest.read_manifest(root), tmp_path / "archive")
        written.append((tmp_path / "archive").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "vanished while the source was read"),
        (lambda path: path.write_text("longer than before"), "changed while the source was read"),
        (lambda path: path.write_text(""), "changed while the source was read"),
    ],
)
def test_a_file_that_changes_before_it_is_packed_is_named(root: Path, tmp_path: Path, change: Callable[[Path], object], words: str) -> None:
    entries = manifest.read_manifest(root)
    change(root / "main.go")
    with pytest.raises(ContextError, match=f"/main.go {words}"):
        transfer.write_archive(root, entries, tmp_path / "archive")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Return an archive's member, of one byte where it is a file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, int(kind == tarfile.REGTYPE)
    return info


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("../out")], id="up"),
        pytest.param([member("a/../../out")], id="up on the way"),
        pytest.param([member("/tmp/utest-out")], id="absolute"),
        pytest.param([member("l", tarfile.SYMTYPE, "/etc")], id="link to an absolute path"),
        pytest.param([member("a/l", tarfile.SYMTYPE, "../../x")], id="link to above"),
        pytest.param([member("l", tarfile.SYMTYPE, "a"), member("l/f")], id="through a link"),
        pytest.param([member("a/f"), member("a", tarfile.SYMTYPE, "b"), member("a/g")], id="through a link that was a directory"),
        pytest.param([member("l", tarfile.SYMTYPE, "."), member("l/a/m", tarfile.SYMTYPE, "../..")], id="link by way of a link"),
        pytest.param([member("h", tarfile.LNKTYPE, "../out")], id="hard link"),
        pytest.param([member("p", tarfile.FIFOTYPE)], id="pipe"),
        pytest.param([member("c", tarfile.CHRTYPE)], id="device"),
    ],
)
def test_an_archive_that_leads_out_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "staged/a").mkdir(parents=True)
    (tmp_path / "staged/b").mkdir()
    (tmp_path / "out").write_text("untouched")
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(ContextError, match="refusing to unpack"):
        transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [])
    assert (tmp_path / "out").read_text() == "untouched"
    assert not Path("/tmp/utest-out").exists()


@pytest.mark.parametrize("path", ["../out", "/etc/hostname", "a/../../out"])
def test_nothing_outside_is_deleted(tmp_path: Path, path: str) -> None:
    (tmp_path / "out").touch()
    transfer.write_archive(tmp_path, [], tmp_path / "archive")
    (tmp_path / "staged").mkdir()
    with pytest.raises(ContextError, match="refusing to delete"):
        transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [path])
    assert (tmp_path / "out").exists()


def test_nothing_is_deleted_by_way_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged/a").symlink_to("../outside")
    transfer.write_archive(tmp_path, [], tmp_path / "archive")
    with pytest.raises(ContextError, match="refusing to delete"):
        transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", ["a/precious"])
    assert (tmp_path / "outside/precious").exists()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("broken")

    (tmp_path / "f").write_text("old")
    with pytest.raises(OSError, match="broken"):
        files.write_file(tmp_path / "f", Broken(), 0o644)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("f", "old")]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a tree of 4,500 files and 60 MB, one file of 40 MB among them."""
    tree = tmp_path_factory.mktemp("large")
    for number in range(4500):
        directory = tree / f"vendor/example.org/m{number % 50}/p{number % 9}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file{number}.go").write_bytes(b"package p\n" * 444)
    (tree / "big.bin").write_bytes(bytes(40_000_000))
    yield tree
    shutil.rmtree(tree)


def memory(field: str) -> int:
    """Return the bytes of a field of /proc/self/status."""
    (kilobytes,) = re.findall(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return int(kilobytes) * 1024


def test_memory_does_not_grow_with_the_size_of_the_source(large: Path, tmp_path: Path) -> None:
    """The entries of 4,500 files take about 5 MB; a whole file, or a whole archive, in memory would break the bound."""
    (tmp_path / "staged").mkdir()
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    before = memory("VmRSS")
    entries = manifest.read_manifest(large, IgnoreRules(["**/*.pem"]))
    manifest.manifest_digest(entries)
    transfer.write_archive(large, entries, tmp_path / "archive")
    transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [])
    peak = memory("VmHWM")
    assert len(entries) > 4500
    assert peak - before < 20_000_000
