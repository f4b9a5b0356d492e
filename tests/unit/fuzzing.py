"""Inputs that nobody thought of, and a watch over what is opened for them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import collect, image_archive
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=200,
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


LOG_WORDS = st.sampled_from(
    [
        "Step 3/9 : ",
        'ENV TOKEN="hunter2\\" x"',
        'ARG A="hunter2"',
        "RUN go build",
        "---> Using cache",
        "\n",
        "#7 ERROR: ",
        "#7 [build 3/9] ",
        "#7 0.1 ",
        "#",
        "message: ",
        ", logs: [",
        "']",
        "go: ",
        "a/b@v1 requires go >= ",
        "main.go:1:2: undefined: x.Y",
        "no required module provides package ",
        "build constraints exclude all Go files in ",
        "WARNING: ",
        "https://",
        "pattern ",
        ": no matching files found",
        "{0}",
        "{",
        "%s",
        "\x1b[2J",
        "\udce9",
        "\r",
        "go: " * 2000,
        "a" * 5000,
        "/pkg/mod/" * 500,
    ]
)


LOG_TEXT = st.lists(st.one_of(LOG_WORDS, st.text(max_size=6)), max_size=20).map("".join)


SOUP = st.text(st.one_of(st.sampled_from(":\n\t=> \"`'\\0x9²٣PVFR{}[]"), st.characters()), max_size=120)


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "root:x:0:0:root:/root:/bin/sh",
                "app:x:1000:1000::/:/sbin/nologin",
                "a:x:²:9:::",
                f"b:x:{'9' * 5000}:0:::",
                "g:x:٣:a",
                f"h:x:{'9' * 5000}:a",
                "path\texample.com/app",
                "mod\texample.com/app\t(devel)\t",
                "dep\texample.com/lib\tv1\th1:x=",
                "=>\t./lib\t\t",
                'build\t"-ldf\\xlags"="\\U99999999"',
                "P:tzdata",
                "V:1",
                "",
                f"Uid:\t{'9' * 5000}\t0",
            ]
        ),
        SOUP,
    ),
    max_size=12,
).map("\n".join)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Config", "Layers", "rootfs", "diff_ids", "Results", "Vulnerabilities", "matches", "SchemaVersion", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def assert_shown(failure: Failure | None) -> None:
    """Insist on a failure that can be shown."""
    assert failure is not None
    assert failure.message and failure.remedy.strip()
    shown = visible(failure.text("app"))
    assert "\x1b" not in shown
    shown.encode()


def read_all(content: bytes) -> None:
    """Read an executable as the contract does; insist on an answer that is a fact or a problem."""
    entry = image_archive.FileEntry("/usr/local/bin/app", image_archive.FILE, 0o755, 0, 0)
    facts = collect.read_binary(entry, io.BytesIO(content))
    assert facts.elf or facts.problem
