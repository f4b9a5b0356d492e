"""The rules of .dockerignore, held against those of the builder."""

from __future__ import annotations

import random
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image import manifest
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import (
    ClassicRules,
    IgnoreRules,
    check_embedded,
    let_back,
    literal,
)
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from docker.utils import exclude_paths  # docker_image has a copy of it.
from fuzzing import EXAMPLES, FILE_NAME, PATTERN, TREES, make_tree
from hypothesis import given
from hypothesis import strategies as st
from trees import Generate, grow, paths


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
        pytest.param(
            ["[&&~|]y", "[+--]z", "[^[a-c]w"], ["&y", "~y", "|y", ",z", "dw"], ["-y", ".z", "[w", "bw"], id="members that could mean more"
        ),
        pytest.param(["a\\"], ["a\\"], ["a"], id="a backslash at the end"),
        pytest.param(["# a", "", "  b  "], ["b"], ["a", "# a"], id="comments and blanks"),
        pytest.param(["*.md", "!keep.md"], ["x.md"], ["keep.md"], id="let back in"),
        pytest.param(["*.md", "!keep.md", "keep.*"], ["keep.md"], ["keep/x"][:0], id="the last rule decides"),
        pytest.param(["a", "!a/b", "a/b/c"], ["a", "a/x", "a/b/c", "a/b/c/d"], ["a/b", "a/b/x"], id="rules within rules"),
        pytest.param(["*", "!cmd", "**/*.pem"], ["x", "cmd/a.pem", "cmd/x/b.pem"], ["cmd", "cmd/main.go"], id="allow list"),
        pytest.param(["a.b", "(c)", "d+"], ["a.b", "(c)", "d+"], ["axb", "c", "dd"], id="no regular expressions"),
        pytest.param([".", "/", "b"], ["b"], ["a"], id="the top itself is never left out"),
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


def test_registry_credentials_stay_out_where_community_docker_lets_them_in(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text("{}")
    lines = generate()["dockerignore"].splitlines()
    assert exclude_paths(str(tmp_path), list(lines)) == {".docker/config.json"}
    assert paths(tmp_path, *lines) == []


def test_a_pattern_with_more_wildcards_than_can_be_matched_in_time_is_refused() -> None:
    IgnoreRules(["a*b*c*d*e*", r"*/*/*/*/**", r"\\*\\*\\*\\*\\*\\*x", "[*][*][*][*][*][*]"])
    with pytest.raises(ContextError, match="has more than 5 wildcards") as caught:
        IgnoreRules(["x", "*a*b*c*d*e*"])
    assert "'*a*b*c*d*e*'" in caught.value.message and "go_service_dockerignore" in caught.value.remedy


@pytest.mark.parametrize(
    ("lines", "directory", "below"),
    [
        ([], "a", True),
        (["a"], "a", True),
        (["a", "!a"], "a", False),
        (["a", "!a/b"], "a", False),
        (["a", "!ab/c", "!b/a"], "a", True),
        (["a", "!/a/b/"], "a", False),
        (["a", "!a/b/c"], "a/b", False),
    ],
)
def test_a_directory_is_passed_over_where_nothing_below_it_can_come_back(lines: list[str], directory: str, below: bool) -> None:
    assert IgnoreRules(lines).prunes(directory) is below


@pytest.mark.parametrize(
    ("lines", "dropped", "seen"),
    [
        pytest.param(["readme*"], ["README.md", "readme", "readme/x"], ["a/readme", "dockerfile"], id="in whatever case"),
        pytest.param(["**/A"], ["a", "x/A", "x/y/a/z"], ["ab", "x/ab"], id="any depth"),
        pytest.param(["a/**"], ["a/b", "a/b/c"], ["a", "b/a"], id="all below"),
        pytest.param(["[!a]x"], ["bx"], ["ax", "!x"][:1], id="a class that is negated"),
        pytest.param(["[^a]x"], ["^x", "ax"], ["bx"], id="a caret is itself"),
        pytest.param(["[a-c]x", "?.go"], ["bx", "a.go"], ["dx", "ab.go", "/.go"], id="classes, and one character"),
        pytest.param([r"a\b"], [r"a\b"], ["ab"], id="a backslash is itself"),
        pytest.param(["[]a]x", "[x"], ["]x", "ax", "[x"], ["bx"], id="a bracket"),
        pytest.param(["*", "!keep"], ["x", "keep2"], ["keep", "KEEP", "keep/x"], id="let back in"),
        pytest.param(["d", "!d/keep"], ["d/x", "d"], ["d/keep"], id="let back in below"),
        pytest.param(["*"], ["a", "b/c"], ["Dockerfile", ".dockerignore"], id="the generated files are never left out"),
        pytest.param(["# a", "", "  b  ", ".", "/", "./c/"], ["b", "c", "c/x"], ["a", "# a", "d"], id="comments, blanks, the top itself"),
        pytest.param(["a.b", "c+"], ["a.b", "c+"], ["axb", "cc"], id="no regular expressions"),
        pytest.param(
            ["[&&~|]y", "[+--]z", "[![a-c]w"], ["&y", "~y", ",z", "dw"], ["-y", ".z", "[w", "bw"], id="members that could mean more"
        ),
        pytest.param(["[!]x", "[!]a]y"], ["[!]x", "by"], ["!x", "]y", "ay"], id="a negated bracket"),
        pytest.param(["a/**/z", "b**"], ["a/z", "a/b/c/z", "b", "bc/d"], ["a/bz", "z"], id="any depth between"),
        pytest.param([], [], ["a"], id="no rule"),
        pytest.param(
            ["d", "a/b", "!**/keep"], ["d/keep", "a/b/keep"], ["keep", "e/keep"], id="a directory that is left out is not looked into"
        ),
        pytest.param(["*/keep", "!**/keep"], [], ["e/keep", "a/e/keep"], id="let back in wherever it is"),
    ],
)
def test_what_docker_image_leaves_out(lines: list[str], dropped: list[str], seen: list[str]) -> None:
    rules = ClassicRules(lines)
    assert [path for path in dropped if not rules.drops(path)] == []
    assert [path for path in seen if rules.drops(path)] == []


def test_a_pattern_that_docker_image_cannot_read_is_named() -> None:
    with pytest.raises(ContextError, match="not valid for docker_image") as caught:
        ClassicRules(["a", "[z-a]"])
    assert "'[z-a]'" in caught.value.message and "go_service_dockerignore" in caught.value.remedy


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("main.go", "main.go"),
        ("a*b?c[d", "a[*]b[?]c[[]d"),
        ("a\\b", r"a[\\]b"),
        (" a ", "[ ]a[ ]"),
        ("#a", "/#a"),
        ("!a", "/!a"),
        ("a b#!", "a b#!"),
        ("a\nb\x7f", "a?b?"),
    ],
)
def test_a_path_is_written_as_a_pattern(path: str, pattern: str) -> None:
    assert literal(path) == pattern
    assert IgnoreRules([pattern]).ignored(path)


def test_what_is_embedded_is_let_back_unless_it_looks_like_a_credential() -> None:
    project = {"embedded_files": ["README.md", "page.html", "conf/server.key", ".ssh/known"]}
    assert let_back(project, "*.md\n**/*.key\n") == ["README.md", "conf/server.key"]
    check_embedded(project, "*.md\n")
    for pattern, named in (("**/*.key", "conf/server.key"), (".ssh", ".ssh/known")):
        with pytest.raises(SourceError, match="looks like a credential") as caught:
            check_embedded(project, f"*.md\n{pattern}\n")
        assert f"the service embeds {named}," in str(caught.value)
        assert f'go_service_dockerignore: ["!{named}"]' in caught.value.remedy


def test_of_many_embedded_credentials_three_are_named() -> None:
    with pytest.raises(SourceError, match=r"embeds a\.key, b\.key, c\.key, which") as caught:
        check_embedded({"embedded_files": [f"{name}.key" for name in "abcd"]}, "*.key")
    assert '"!a.key"' in caught.value.remedy


# What nobody thought of


# The Docker SDK makes regular expressions of brackets as they come, of which Python warns; the rules here do not.
@pytest.mark.filterwarnings("ignore:Possible (nested )?set:FutureWarning:docker")
@EXAMPLES
@given(tree=TREES, patterns=st.lists(PATTERN, max_size=4))
def test_the_rules_of_docker_image_are_its_own(tree: list[list[str]], patterns: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        make_tree(Path(directory, "source"), tree)
        try:
            rules = ClassicRules(patterns)
        except ContextError:
            return
        lines = [line.strip() for line in patterns if line.strip() and line.strip()[0] != "#"]
        seen = exclude_paths(str(Path(directory, "source")), lines)
        found = {path for path, _entry in manifest.walk(Path(directory, "source"))}
        assert {path for path in found if not rules.drops(path)} == seen


@EXAMPLES
@given(path=st.lists(FILE_NAME, min_size=1, max_size=3).map("/".join), other=st.lists(FILE_NAME, min_size=1, max_size=3).map("/".join))
def test_a_path_as_a_pattern_is_one_line_and_matches_it(path: str, other: str) -> None:
    pattern = literal(path)
    assert pattern.isprintable() and pattern == pattern.strip()
    rules = IgnoreRules([pattern])
    assert rules.ignored(path)
    if path.isprintable() and not other.startswith(path + "/"):
        assert rules.ignored(other) == (other == path)


@pytest.mark.filterwarnings("error")
@EXAMPLES
@given(pattern=st.text("ab*?[]!\\/.-^&~| #é\n", max_size=40), path=st.text("ab/", max_size=60))
def test_any_pattern_is_obeyed_or_refused(pattern: str, path: str) -> None:
    with suppress(ContextError):
        IgnoreRules([pattern]).ignored(path)
        ClassicRules([pattern]).drops(path)
