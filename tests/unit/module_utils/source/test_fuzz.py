"""Sources that nobody thought of: nothing hangs, nothing but the named errors ends a run, no file outside of the source is opened."""

from __future__ import annotations

import itertools
import os
import string
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import context, dockerfile, manifest, transfer
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import ClassicRules, IgnoreRules, literal
from ansible_collections.proven.go_service.plugins.module_utils.source import address, facts, project
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from docker.utils import exclude_paths  # docker_image has a copy of it.
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=150,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
MAIN = b"package main\n\nfunc main() {}\n"
MOD = b"module example.com/app\n\ngo 1.22\n"

opened: list[str] = []


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is opened or listed by a path from the top; what is opened from a directory on is judged by the way there."""
    if watching and event in ("open", "os.scandir", "os.listdir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened.append(os.fsdecode(arguments[0]))


watching: list[Path] = []
sys.addaudithook(note)


@contextmanager
def only_below(root: Path) -> Iterator[None]:
    """Insist that nothing is opened outside of a directory, and nothing raised but what a user is told."""
    opened.clear()
    watching.append(root)
    try:
        with suppress(SourceError, ContextError):
            yield
    finally:
        watching.pop()
    outside = [
        path for path in opened if os.path.isabs(path) and not (os.path.realpath(path) + "/").startswith(f"{os.path.realpath(root)}/")
    ]
    assert outside == []


@pytest.fixture
def wanted(settings: Any) -> Any:
    """Return the role's settings."""
    return settings()


def tokens(*words: str) -> st.SearchStrategy[bytes]:
    """Return texts made of words that mean something, and of any others."""
    return st.lists(st.one_of(st.sampled_from(words).map(str.encode), st.binary(max_size=4)), max_size=25).map(b"".join)


MOD_TEXT = tokens(
    *(
        "module ",
        "example.com/app",
        "\n",
        " ",
        "go ",
        "1.22",
        "1.",
        "9" * 5000,
        "toolchain ",
        "go1.22",
        "require ",
        "(",
        ")",
        "v1.0.0",
        '"',
    ),
    *("`", "//", "/*", "replace ", "=>", "../../etc", "./lib", "/etc", "use ", "ignore ", "\\x00", "\0", "\ufeff", "=> /etc/", "exclude"),
)
GO_TEXT = tokens(
    *("package main", "\n", "import ", "(", ")", '"embed"', '"example.com/app/lib"', '"example.com/app/../../etc"', '"-x"', '"net/..."'),
    *(
        "//go:embed ",
        "*",
        "../x",
        "[",
        "]",
        "[a-",
        "all:",
        "static",
        "/*",
        "*/",
        "`",
        '"',
        "'",
        "\\",
        "//go:build ",
        "!",
        "linux",
        "&&",
        "||",
    ),
    *("// +build ", "go1." + "9" * 5000, ";", "_ ", '"C"', "\0", "\\x00", "\\u0000", "\ufeff", "**" * 20),
)


@EXAMPLES
@given(mod=MOD_TEXT, work=st.none() | MOD_TEXT, modules=st.none() | MOD_TEXT)
@example(mod=MOD + b"go 1." + b"9" * 5000, work=None, modules=None)
def test_any_go_mod_is_read_or_refused(wanted: Settings, mod: bytes, work: bytes | None, modules: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "source")
        (root / "vendor").mkdir(parents=True)
        for name, content in {"go.mod": mod, "go.work": work, "vendor/modules.txt": modules, "main.go": MAIN}.items():
            if content is not None:
                (root / name).write_bytes(content)
        with only_below(root):
            project.read_project(root, name="app", go_version=(1, 27))


@EXAMPLES
@given(main=GO_TEXT, lib=GO_TEXT, head=st.booleans())
@example(main=b'package main\nimport "embed"\n' + b"/*" * 200_000, lib=b"", head=False)
@example(main=b'package main\nimport "embed"\n"' + b'\\"' * 200_000, lib=b"", head=False)
@example(main=b'package main\nimport "embed"\n//go:embed ' + b"*a" * 30 + b"b\n", lib=b"", head=False)
def test_any_go_file_is_read_or_passed_over(wanted: Settings, main: bytes, lib: bytes, head: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "source")
        for name, content in {"go.mod": MOD, "main.go": (MAIN if head else b"") + main, "lib/lib.go": lib, "a" * 200: b""}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        (root / "out").symlink_to("/etc")
        with only_below(root):
            found = facts.project_facts(root, wanted)
            for package in [*found["std_packages"], *found["module_packages"]]:
                assert set(package) <= set(string.ascii_letters + string.digits + "._~+-/")
                assert not package.startswith("-") and "..." not in package


# Names and patterns


NAME = st.one_of(
    st.sampled_from(
        ["readme.go", "Readme", "CHANGELOG", "changelog.go", "main.go", "lib", "A", "a", ".ENV", "Credentials", ".htpasswd", "X.PEM"]
    ),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
        lambda name: name not in (".", "..") and len(name.encode()) < 200
    ),
    st.text("aAbB.*?[]!#\\ -^", min_size=1, max_size=5).filter(lambda name: name not in (".", "..")),
)
TREE = st.lists(st.lists(NAME, min_size=1, max_size=3), min_size=1, max_size=12)
PATTERN = st.one_of(
    st.sampled_from(["README*", "CHANGELOG*", "**/A", "a/**", "!a/b", "A", "*.GO", "!*.go", "[!a]*", "[^a]*", "lib", "!lib/main.go"]),
    st.text("aAbB.*?[]!\\/-^", min_size=1, max_size=8).filter(lambda text: text.strip() and ".." not in text.split("/")),
)


def grow(root: Path, tree: list[list[str]]) -> None:
    """Make files by their paths, as far as they go together."""
    root.mkdir()
    for parts in tree:
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            root.joinpath(*parts[:-1]).mkdir(parents=True, exist_ok=True)
            root.joinpath(*parts).touch(exist_ok=False)


@EXAMPLES
@given(tree=TREE, patterns=st.lists(PATTERN, max_size=4))
@example(tree=[["readme.go"], ["changelog.go"], ["readme", "x.go"]], patterns=["README*", "CHANGELOG*"])
@example(tree=[["readme.go", ".ENV"]], patterns=["README*"])
def test_docker_image_sees_what_is_staged(wanted: Settings, tree: list[list[str]], patterns: list[str]) -> None:
    """By community.docker's own matcher, which is imported for this test alone; production code has its rules."""
    with tempfile.TemporaryDirectory() as directory:
        root, staged = Path(directory, "source"), Path(directory, "staged")
        grow(root, tree)
        rendered = "".join(f"{pattern}\n" for pattern in patterns)
        try:
            entries, text = context.read_context(root, rendered, replace(wanted, dockerignore=()), {"embedded_files": []})
        except ContextError as error:
            assert error.remedy
            return
        assert text.startswith(rendered)
        assert manifest.read_manifest(root, IgnoreRules(text.splitlines())) == entries
        transfer.write_archive(root, entries, Path(directory, "archive"))
        staged.mkdir()
        transfer.apply_archive(staged, Path(directory, "archive"), [])
        lines = [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
        seen = exclude_paths(str(staged), lines)
        # A directory need not be listed by itself: it comes with the files in it.
        assert {entry.path for entry in entries if entry.kind != manifest.DIRECTORY} <= seen <= {entry.path for entry in entries}


@EXAMPLES
@given(tree=TREE, patterns=st.lists(PATTERN, max_size=4))
def test_the_rules_of_docker_image_are_its_own(tree: list[list[str]], patterns: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        grow(Path(directory, "source"), tree)
        try:
            rules = ClassicRules(patterns)
        except ContextError:
            return
        lines = [line.strip() for line in patterns if line.strip() and line.strip()[0] != "#"]
        seen = exclude_paths(str(Path(directory, "source")), lines)
        found = {path for path, _entry in manifest.walk(Path(directory, "source"))}
        assert {path for path in found if not rules.drops(path)} == seen


@EXAMPLES
@given(path=st.lists(NAME, min_size=1, max_size=3).map("/".join), other=st.lists(NAME, min_size=1, max_size=3).map("/".join))
def test_a_path_as_a_pattern_is_one_line_and_matches_it(path: str, other: str) -> None:
    pattern = literal(path)
    assert pattern.isprintable() and pattern == pattern.strip()
    rules = IgnoreRules([pattern])
    assert rules.ignored(path)
    if path.isprintable() and not other.startswith(path + "/"):
        assert rules.ignored(other) == (other == path)


@EXAMPLES
@given(pattern=st.text("ab*?[]!\\/.-^ #é\n", max_size=40), path=st.text("ab/", max_size=60))
def test_any_pattern_is_obeyed_or_refused(pattern: str, path: str) -> None:
    with suppress(ContextError):
        IgnoreRules([pattern]).ignored(path)
        ClassicRules([pattern]).drops(path)


@EXAMPLES
@given(tree=TREE, names=st.lists(NAME, min_size=2, max_size=2))
def test_any_names_are_packed_or_refused(wanted: Settings, tree: list[list[str]], names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "source")
        grow(root, [*tree, ["go.mod"], ["cmd", names[0], "main.go"]])
        with suppress(OSError):
            (root / "go.mod").write_bytes(MOD)
            (root / "cmd" / names[0] / "main.go").write_bytes(MAIN)
            (root / names[1]).symlink_to("/etc/passwd")
        with only_below(root):
            found = facts.project_facts(root, wanted)
            made = dockerfile.dockerfile_facts(found, wanted)
            assert all("\n" not in line for line in (made["module_subdir"], made["main_package"], *dockerfile.module_files(found)))
            entries = manifest.read_manifest(root)
            transfer.write_archive(root, entries, root / "archive")


# Addresses

PART = st.text(string.ascii_letters + "@:/?#%&=;[]\\ .\n\0é", max_size=12)


@settings(EXAMPLES, max_examples=300)
@given(user=PART, password=PART, host=st.just("git.example.com"), scheme=st.sampled_from(["https://", "ssh://", "", "http://", "file://"]))
def test_no_part_of_a_password_is_ever_shown(user: str, password: str, host: str, scheme: str) -> None:
    secret = "hunter2"
    for cut in itertools.product((user + secret, user), (":" + password + secret, "")):
        name = "".join(cut)
        if secret in name:
            assert secret not in address.shown_address(f"{scheme}{name}@{host}/x.git")
            assert secret not in address.shown_address(f"{scheme}{host}/x.git?{name}")


@settings(EXAMPLES, max_examples=300)
@given(given=st.text(string.ascii_letters + string.digits + "@:/?#%[]\\.-~ \n\0é", max_size=40))
def test_any_address_is_shown_as_one_plain_word_or_not_at_all(given: str) -> None:
    shown = address.shown_address(given)
    assert shown == "" or (shown.isprintable() and shown.isascii() and not set(shown) & set("@?#\\\"'$`"))
