"""Inputs that nobody thought of, and a watch over what is opened for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=150,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


MAIN_FILE = b"package main\n\nfunc main() {}\n"


MOD_FILE = b"module example.com/app\n\ngo 1.22\n"


opened: list[str] = []


watching: list[Path] = []


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is opened or listed by a path from the top; what is opened from a directory on is judged by the way there."""
    if watching and event in ("open", "os.scandir", "os.listdir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened.append(os.fsdecode(arguments[0]))


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


def tokens(*words: str) -> st.SearchStrategy[bytes]:
    """Return texts made of words that mean something, and of any others."""
    return st.lists(st.one_of(st.sampled_from(words).map(str.encode), st.binary(max_size=4)), max_size=25).map(b"".join)


FILE_NAME = st.one_of(
    st.sampled_from(
        ["readme.go", "Readme", "CHANGELOG", "changelog.go", "main.go", "lib", "A", "a", ".ENV", "Credentials", ".htpasswd", "X.PEM"]
    ),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
        lambda name: name not in (".", "..") and len(name.encode()) < 200
    ),
    st.text("aAbB.*?[]!#\\ -^", min_size=1, max_size=5).filter(lambda name: name not in (".", "..")),
)


TREES = st.lists(st.lists(FILE_NAME, min_size=1, max_size=3), min_size=1, max_size=12)


PATTERN = st.one_of(
    st.sampled_from(["README*", "CHANGELOG*", "**/A", "a/**", "!a/b", "A", "*.GO", "!*.go", "[!a]*", "[^a]*", "lib", "!lib/main.go"]),
    st.text("aAbB.*?[]!\\/-^", min_size=1, max_size=8).filter(lambda text: text.strip() and ".." not in text.split("/")),
)


def make_tree(root: Path, tree: list[list[str]]) -> None:
    """Make files by their paths, as far as they go together."""
    root.mkdir()
    for parts in tree:
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            root.joinpath(*parts[:-1]).mkdir(parents=True, exist_ok=True)
            root.joinpath(*parts).touch(exist_ok=False)
