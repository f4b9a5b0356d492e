"""What the builder sees: what is let in, kept out, and asked about."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import context, manifest, transfer
from ansible_collections.proven.go_service.plugins.module_utils.image.context import read_context
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.module_utils.source.facts import project_facts
from docker.utils import exclude_paths  # docker_image has a copy of it.
from fuzzing import EXAMPLES, PATTERN, TREES, make_tree
from hypothesis import example, given
from hypothesis import strategies as st
from trees import Generate, grow


@EXAMPLES
@given(tree=TREES, patterns=st.lists(PATTERN, max_size=4))
@example(tree=[["readme.go"], ["changelog.go"], ["readme", "x.go"]], patterns=["README*", "CHANGELOG*"])
@example(tree=[["readme.go", ".ENV"]], patterns=["README*"])
def test_docker_image_sees_what_is_staged(wanted: Settings, tree: list[list[str]], patterns: list[str]) -> None:
    """By community.docker's own matcher, which is imported for this test alone; production code has its rules."""
    with tempfile.TemporaryDirectory() as directory:
        root, staged = Path(directory, "source"), Path(directory, "staged")
        make_tree(root, tree)
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


@pytest.mark.parametrize(("tests", "named"), [(False, ["/docs", "/movie.bin"]), (True, [])])
def test_a_large_source_is_told_what_the_build_needs_nothing_of(
    generate: Generate, settings: Callable[..., Settings], tmp_path: Path, *, tests: bool, named: list[str]
) -> None:
    """What is compiled, embedded, vendored or brought beside the binary is needed; tests may read anything. What is named is enough."""
    tree = {
        "go.mod": "module example.com/app\n\ngo 1.22\n\nrequire a.example/one v1.0.0\n",
        "vendor/modules.txt": "# a.example/one v1.0.0\n## explicit\na.example/one\n",
        "vendor/a.example/one/one.go": "package one\n",
        "cmd/api/main.go": 'package main\n\nimport (\n\t_ "a.example/one"\n\t_ "example.com/app/web"\n)\n\nfunc main() {}\n',
        "web/web.go": 'package web\n\nimport _ "embed"\n\n//go:embed page.html\nvar Page string\n',
    }
    for path in ("vendor/a.example/one/big", "web/page.html", "templates/one.html", "cmd/api/big", "docs/big", "movie.bin"):
        tree[path] = "x" * 50_000
    for path, text in tree.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def read(patterns: list[str]) -> list:
        given = {
            "context_limit_mb": 0.22,
            "main_package": "./cmd/api",
            "files": [{"src": "templates"}],
            "run_tests": tests,
            "dockerignore": patterns,
        }
        wanted = settings(**given)
        return read_context(tmp_path, generate(**given)["dockerignore"], wanted, project_facts(tmp_path, wanted))[0]

    with pytest.raises(ContextError) as caught:
        read([])
    assert sorted(re.findall('"(.*?)"', caught.value.remedy)) == named
    assert not named or read(named)


def test_an_embedded_credential_of_the_further_kinds_is_a_question(
    generate: Generate, settings: Callable[..., dict], tmp_path: Path
) -> None:
    (tmp_path / "credentials.json").touch()
    with pytest.raises(SourceError, match=r"credentials\.json"):
        read_context(tmp_path, generate()["dockerignore"], settings(), {"embedded_files": ["credentials.json"]})
