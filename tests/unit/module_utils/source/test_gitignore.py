"""What git ignores, as the role reads it from a checkout's files, held against git itself."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.gitignore import find_checkout

NAMES = ("a", "b", "ab", "a.b", "bin", "x.md", "foo bar", "[", "a]", "ä", "-", "#a", "!b", "B")
PIECES = (
    "a",
    "b",
    "*",
    "?",
    "**",
    "/",
    ".",
    "[a-c]",
    "[!a]",
    "[^b]",
    "[]a]",
    "\\*",
    "\\",
    "[",
    "]",
    "-",
    "bin",
    "md",
    " ",
    "#",
    "!",
    "ä",
    "[[:alpha:]]",
    "[a",
)


def git(directory: Path, *arguments: str) -> str:
    """Run git with no configuration but its own defaults, and return what it prints."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *arguments], cwd=directory, env=env, capture_output=True, text=True, check=True).stdout


def paths(top: Path) -> dict[str, bool]:
    """Return every path of a tree but of its .git, and whether it is a directory."""
    found = {}
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        for name in [*folders, *files]:
            found[os.path.relpath(os.path.join(folder, name), top)] = name in folders
    return found


def ignored(top: Path) -> set[str]:
    """Return the files that git ignores."""
    return set(filter(None, git(top, "ls-files", "-z", "--others", "--ignored", "--exclude-standard").split("\0")))


def tree(random_: random.Random, top: Path) -> None:
    """Make a checkout with generated names, patterns and tracked files."""
    for _number in range(25):
        path = top.joinpath(*(random_.choice(NAMES) for _part in range(random_.randint(1, 4))))
        if any(above.is_file() for above in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    git(top, "init", "-q")
    files = [path for path, directory in paths(top).items() if not directory]
    for path in random_.sample(files, min(4, len(files))):
        git(top, "add", "--force", "--", f":(literal){path}")
    git(top, "update-index", "--index-version", random_.choice("234"))
    folders = [top, *(top / path for path, directory in paths(top).items() if directory)]
    for folder in random_.sample(folders, min(3, len(folders))):
        (folder / ".gitignore").write_text("".join(line(random_) + "\n" for _number in range(random_.randint(1, 5))))
    (top / ".git/info/exclude").write_text(line(random_) + "\n")


def line(random_: random.Random) -> str:
    """Return a line of a .gitignore file."""
    if random_.random() < 0.4:
        middle = "/".join(random_.choice(NAMES) for _part in range(random_.randint(1, 3)))
    else:
        middle = "".join(random_.choice(PIECES) for _part in range(random_.randint(1, 6)))
    return random_.choice(("", "", "", "/", "!", "**/")) + middle + random_.choice(("", "", "/", "/**", " "))


@pytest.mark.parametrize("seed", range(60))
def test_the_same_as_git(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    tree(random_, tmp_path)
    checkout = find_checkout(tmp_path)
    assert checkout
    files = {path for path, directory in paths(tmp_path).items() if not directory}
    tracked = set(filter(None, git(tmp_path, "ls-files", "-z").split("\0")))
    shown = {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob(".gitignore")}
    assert {path for path in files - tracked if checkout.ignores(path, False)} == ignored(tmp_path), shown
    assert not any(checkout.ignores(path, False) for path in tracked)


BRACKETS = (
    *(
        "[a-c]",
        "[!a-c]",
        "[^b]",
        "[]a]",
        "[!]a]",
        "[]-a]",
        "[a-]",
        "[-a]",
        "[a-c-e]",
        "[c-a]",
        "[a-a]",
        "[!c-a]",
        "[\\]a]",
        "[a\\-c]",
        "[a-\\c]",
    ),
    *(
        "[\\",
        "[a-\\",
        "[",
        "[!",
        "[]",
        "[!]",
        "[a",
        "[a-",
        "[a-z",
        "[[]",
        "[[a]",
        "[a[]",
        "[^^]",
        "[^]",
        "[!!]",
        "[^-b]",
        "[--/]",
        "[+--]",
        "[.-0]",
    ),
    *(
        "[[:alpha:][:digit:]]",
        "[[:alpha:]-z]",
        "[![:alpha:]]",
        "[[:foo:]]",
        "[[:alpha:]",
        "[[:alpha]",
        "[[:alpha]]",
        "[[:]",
        "[[:]]",
        "[[::]]",
        "[[:a",
    ),
    *("[a-[:digit:]]", "[[:digit:]a-c]", "[x[:digit:]-]", "[&&~|]", "[a&&b]", "[\\a]", "[\\\\]", "[[:alpha:]\\]]"),
)
CLASSES = ("alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit")
STARS = (
    "**",
    "/a**",
    "/a?**",
    "x/a**",
    "a/x**/b",
    "a?**/b",
    "**/",
    "/**",
    "a**",
    "**a",
    "a/**",
    "a/**/b",
    "**/a/**",
    "a**/b",
    "a/**b",
    "***",
    "a/***/b",
    "/**/a",
    "**/**",
    "*/",
    "/*",
    "a/*/b",
    "*a*b*",
)
EDGES = (
    *(
        "\\#a",
        "\\!a",
        "a\\ ",
        "a ",
        "a  ",
        "a\\  ",
        "a\\\\ ",
        " a",
        "/",
        "//",
        "!",
        "!/",
        "/a",
        "/a/",
        "a/",
        "a/b",
        "a/b/",
        "\\",
        "a\\",
        "\\a",
        "a\\b",
    ),
    *("a?b", "?", "a.b", "a+", "(a)", "^a$", "ä", "?b?", "\\*", "\\?", "a\r", "\ufeffa", "*a*b*c*d*e*f"),
)


def pattern(random_: random.Random) -> str:
    """Return a pattern of pieces that mean something."""
    return "".join(random_.choice((*BRACKETS, *PIECES)) for _part in range(random_.randint(1, 3)))


def test_each_pattern_matches_what_it_matches_for_git(tmp_path: Path) -> None:
    """A directory for each, and paths that do not exist, of which git tells as well."""
    random_ = random.Random(7)
    patterns = [*BRACKETS, *STARS, *EDGES, *(f"[[:{name}:]]" for name in CLASSES), *(pattern(random_) for _number in range(250))]
    single = [chr(code) for code in range(1, 127) if chr(code) not in "/."]
    deeper = [
        "aa",
        "ab",
        "ba",
        "a.b",
        "a/b",
        "a/a",
        "b/a",
        "a/b/a",
        "a/x/b",
        "a/x/y/b",
        "x/a/y",
        "axb",
        "a/xb",
        "b/a/b",
        "a b",
        " a",
        "a ",
        "a  ",
        "a\\ ",
        "#a",
        "!a",
    ]
    names = [
        *single,
        *deeper,
        *(f"{one}{two}" for one in "a[-!\\b" for two in "]-c"),
        "ä",
        "xbx",
        "aäb",
        "(a)",
        "a+",
        "^a$",
        "a*",
        "abcdef",
    ]
    git(tmp_path, "init", "-q")
    # What lets back in is seen only where all else is left out.
    patterns += [f"*\n!{text}" for text in (*STARS, *EDGES, *(pattern(random_) for _number in range(50)))]
    for number, text in enumerate(patterns):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/.gitignore").write_text(f"{text}\n", encoding="utf-8")
    asked = [f"{number}/{name}" for number in range(len(patterns)) for name in names]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "check-ignore", "-z", "--stdin"], cwd=tmp_path, env=env, input="\0".join(asked).encode(), capture_output=True, check=True
    )
    known = set(filter(None, done.stdout.decode().split("\0")))
    checkout = find_checkout(tmp_path)
    assert checkout
    wrong = [(patterns[int(path.partition("/")[0])], path) for path in asked if checkout.ignores(path, False) != (path in known)]
    assert not wrong, "\n".join(map(repr, wrong))
    assert len(known) > len(patterns)


def test_many_wildcards_match_what_they_match_for_git_and_soon(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    random_ = random.Random(7)
    pieces = ["*", "*", "a", "b", "?", "[ab]", "/", "**/", "/**/", "/*/"]
    # Of what is not there git cannot know whether it is a directory.
    patterns = {"".join(random_.choices(pieces, k=random_.randint(4, 14))).rstrip("/") or "a" for _number in range(400)}
    names = ["".join(random_.choices("aab/", k=random_.randint(1, 14))) for _number in range(150)]
    # A name may not be empty, nor be a file and a directory to git.
    names = [re.sub("/+", "/", f"x{name}y/").strip("/")[1:-1].strip("/") or "a" for name in names]
    for number, text in enumerate(sorted(patterns)):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/.gitignore").write_text(f"{text}\n")
    asked = [f"{number}/{name}" for number in range(len(patterns)) for name in dict.fromkeys(names)]
    done = subprocess.run(
        ["git", "check-ignore", "-z", "--stdin"], cwd=tmp_path, input="\0".join(asked).encode(), capture_output=True, check=True
    )
    known = set(filter(None, done.stdout.decode().split("\0")))
    checkout = find_checkout(tmp_path)
    assert checkout
    wrong = [(sorted(patterns)[int(path.partition("/")[0])], path) for path in asked if checkout.ignores(path, False) != (path in known)]
    assert not wrong, "\n".join(map(repr, wrong))
    assert len(asked) / 20 < len(known) < len(asked)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 60 + "*b", "a" * 255),
        ("[a-z]*" * 30 + "q", "a" * 255),
        ("**/a/" * 30 + "q", "a/" * 600 + "p"),
        ("**/a*/" * 15 + "*q", "aa/" * 600 + "p"),
        ("*?" * 60 + "b", "a" * 255),
    ],
)
def test_no_pattern_of_a_source_keeps_a_run_busy(tmp_path: Path, pattern: str, path: str) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(f"/{pattern}\n{pattern}\n")
    began = time.process_time()
    checkout = find_checkout(tmp_path)
    assert checkout and not checkout.ignores(path, False)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("version", "234")
def test_what_git_tracks_is_read_of_each_form_of_its_index(tmp_path: Path, version: str) -> None:
    """Names of every length, names that have much in common and names that have nothing, and one that is only going to be added."""
    git(tmp_path, "init", "-q")
    random_ = random.Random(int(version))
    names = [
        f"{'d' * random_.randint(1, 200)}/{'é' * random_.randint(0, 60)}{number}/{'x' * length}"
        for number, length in enumerate(range(1, 40))
    ]
    names += ["d" * 200 + "/" + "e" * 200 + "/" + "f" * 200, "d" * 200 + "/" + "e" * 200 + "/" + "g", "a", "z"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git(tmp_path, "add", "--", *names)
    (tmp_path / "later").touch()
    if version != "2":
        git(tmp_path, "add", "--intent-to-add", "later")
    git(tmp_path, "update-index", "--index-version", version)
    checkout = find_checkout(tmp_path)
    assert checkout
    assert all(checkout.tracks(name) for name in names)
    assert checkout.tracks("later") == (version != "2")
    above = {str(parent) for name in names for parent in Path(name).parents} - {"."}
    assert all(checkout.tracks(directory) for directory in above)
    assert not any(checkout.tracks(name) for name in ("", "b", "d", "a/b", names[0] + "x", names[0][:-1] + "y"))


@pytest.mark.parametrize(
    "arguments",
    [["init", "-q", "--object-format=sha256"], ["update-index", "--split-index"]],
    ids=["other names of objects", "entries in another file"],
)
def test_an_index_of_a_form_that_is_not_read_is_no_checkout(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "a").touch()
    if arguments[0] != "init":
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", "a")
        assert find_checkout(tmp_path)
    git(tmp_path, *arguments)
    (tmp_path / "b").touch()
    git(tmp_path, "add", "a", "b")
    assert find_checkout(tmp_path) is None


@pytest.mark.parametrize("text", ["", "elsewhere", "gitdir: missing/directory"])
def test_a_file_that_leads_to_no_repository_is_no_checkout_or_tracks_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".git").write_text(text)
    (tmp_path / ".gitignore").write_text("a\n")
    found = find_checkout(tmp_path)
    assert found is None if not text.startswith("gitdir: ") else not found.tracks("a")


def test_rules_behind_a_link_are_none(tmp_path: Path) -> None:
    """As for git, which follows no links to them."""
    git(tmp_path, "init", "-q")
    (tmp_path / "rules").write_text("a\n")
    (tmp_path / ".gitignore").symlink_to("rules")
    checkout = find_checkout(tmp_path)
    assert checkout and not checkout.ignores("a", False)


def test_a_source_below_the_top_of_its_checkout(tmp_path: Path) -> None:
    (tmp_path / "services/api/bin").mkdir(parents=True)
    (tmp_path / "services/api/bin/api").touch()
    (tmp_path / ".gitignore").write_text("bin/\n/services/api/*.log\n")
    git(tmp_path, "init", "-q")
    checkout = find_checkout(tmp_path / "services/api")
    assert [
        checkout.ignores(path, directory) for path, directory in {"bin": True, "bin/api": False, "a.log": False, "main.go": False}.items()
    ] == [
        True,
        True,
        True,
        False,
    ]


def test_a_working_tree_of_another_repository(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    main.mkdir()
    git(main, "init", "-q")
    git(main, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "x")
    git(main, "worktree", "add", "-q", str(other))
    (main / ".git/info/exclude").write_text("out\n")
    (other / ".gitignore").write_text("*.tmp\n")
    checkout = find_checkout(other)
    assert [checkout.ignores(path, False) for path in ("out", "a.tmp", "b")] == [True, True, False]


def test_no_checkout(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*\n")
    assert find_checkout(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"DIRC", b"DIRC\0\0\0\2\0\0\0\5", b"\0" * 100])
def test_a_broken_index_is_no_checkout(tmp_path: Path, content: bytes) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".git/index").write_bytes(content)
    assert find_checkout(tmp_path) is None


def test_a_directory_that_the_checkout_around_it_ignores_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/tmp/\n")
    (tmp_path / "tmp/source").mkdir(parents=True)
    assert find_checkout(tmp_path / "tmp/source") is None


def test_nothing_of_the_repository_runs(tmp_path: Path) -> None:
    """What the configuration of a repository names as a program is not run."""
    git(tmp_path, "init", "-q")
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "filter.x.clean", "diff.external"):
        git(tmp_path, "config", name, str(program))
    (tmp_path / ".gitattributes").write_text("* filter=x\n")
    (tmp_path / ".gitignore").write_text("a\n")
    assert find_checkout(tmp_path).ignores("a", False)
    assert not mark.exists()
