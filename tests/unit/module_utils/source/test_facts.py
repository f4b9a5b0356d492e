"""From the settings to the facts of a source: where it is, and what decides its build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import errors, facts
from go_trees import Go, write


def test_the_facts_of_a_source(go_module: Path, settings: Callable[..., Settings]) -> None:
    found = facts.project_facts(go_module, settings())
    assert {key: found[key] for key in ("module_path", "main_package", "go_minimum", "has_requirements", "vendored", "profiled")} == {
        "module_path": "example.com/api",
        "main_package": ".",
        "go_minimum": "1.22",
        "has_requirements": True,
        "vendored": False,
        "profiled": False,
    }
    assert (found["std_packages"], found["module_packages"]) == (["net/http"], ["example.org/lib"])


def test_what_tests_import_counts_where_they_run(go_module: Path, settings: Callable[..., Settings]) -> None:
    found = facts.project_facts(go_module, settings(run_tests=True))["std_packages"]
    assert found == ["net/http", "testing", "testing/internal/testdeps", "testing/iotest"]


@pytest.mark.parametrize(("target", "refused"), [("../lib", True), ("./lib", False), ("/opt/lib", True)])
def test_a_replacement_outside_of_the_source_is_refused(
    go_module: Path, settings: Callable[..., Settings], target: str, refused: bool
) -> None:
    (go_module / "go.mod").write_text(
        f"module example.com/api\n\ngo 1.22\n\nrequire example.org/lib v1.0.0\n\nreplace example.org/lib => {target}\n"
    )
    if not refused:
        with pytest.raises(errors.SourceError, match=r"replaces example.org/lib by \./lib, where no go\.mod is"):
            facts.project_facts(go_module, settings())
        (go_module / "lib").mkdir()
        (go_module / "lib/go.mod").write_text("module example.org/lib\n")
        assert facts.project_facts(go_module, settings())["local_modules"] == ["lib"]
        return
    with pytest.raises(errors.SourceError) as caught:
        facts.project_facts(go_module, settings())
    assert target in caught.value.message
    assert "go_service_module_dir" in caught.value.remedy
    (go_module / "vendor").mkdir()
    (go_module / "vendor/modules.txt").write_text("# example.org/lib v1.0.0\n## explicit\nexample.org/lib\n")
    assert facts.project_facts(go_module, settings())["vendored"]


@pytest.mark.parametrize(
    ("use", "words", "vendored"),
    [
        ("../lib", "go.work uses ../lib, which is outside of the source", False),
        ("../lib", "go.work uses ../lib, which is outside of the source", True),
        ("/opt/lib", "go.work uses /opt/lib, which is outside of the source", False),
        ("./lib", "go.work uses ./lib, where no go.mod is", True),
        (".", "", False),
    ],
)
def test_a_module_of_the_workspace_that_the_build_will_not_find_is_refused(
    go_module: Path, settings: Callable[..., Settings], use: str, words: str, vendored: bool
) -> None:
    (go_module / "go.work").write_text(f"go 1.22\n\nuse (\n\t.\n\t{use}\n)\n")
    if vendored:
        (go_module / "vendor").mkdir()
        (go_module / "vendor/modules.txt").write_text("## workspace\n")
    if not words:
        assert facts.project_facts(go_module, settings())["local_modules"] == []
        return
    with pytest.raises(errors.SourceError) as caught:
        facts.project_facts(go_module, settings())
    assert words in caught.value.message
    assert "vendor" not in caught.value.remedy


def test_a_profile_beside_the_main_package_is_seen(go_module: Path, settings: Callable[..., Settings]) -> None:
    (go_module / "default.pgo").touch()
    assert facts.project_facts(go_module, settings())["profiled"]


def _embedding(module: Path, pattern: str, files: dict[str, str]) -> Path:
    """Return the module, whose package web embeds a pattern, with files."""
    page = f'package web\n\nimport "embed"\n\n//go:embed {pattern}\nvar page embed.FS\n'
    main = 'package main\n\nimport _ "example.com/api/web"\n\nfunc main() {}\n'
    return write(module, {"main.go": main, "web/page.go": page, **files})


@pytest.mark.parametrize(
    ("embedded", "told"),
    [
        (
            ("dist/*", {}),
            ("web/page.go embeds dist/* (//go:embed), and there is no web/dist in the source", "a repository that git fetches"),
        ),
        (("all:dist", {}), ("there is no web/dist in", "")),
        (("index.html", {}), ("there is no web/index.html in", "")),
        (("page-*.html", {"web/other.html": ""}), ("nothing in web can be embedded by it", "Links, and")),
        (
            ("dist", {"web/dist/go.mod": "module example.com/dist\n", "web/dist/a": ""}),
            ("nothing in web/dist can be embedded", "another module"),
        ),
        (("dist/*", {"package.json": "{}"}), ("there is no web/dist", "(package.json says how, most often by npm run build)")),
        (("dist/*", {"package.json": "{}", "web/package.json": "{}"}), ("there is no web/dist", "(web/package.json says how")),
        (("dist/*", {"web/dist/index.html": ""}), ("", "")),
    ],
)
def test_what_is_embedded_and_not_there_is_refused_before_anything_is_downloaded(
    go: Go, go_module: Path, settings: Callable[..., Settings], embedded: tuple[str, dict[str, str]], told: tuple[str, str]
) -> None:
    (pattern, files), (words, remedy) = embedded, told
    root = _embedding(go_module, pattern, files)
    refused = any("EmbedPatterns" in package and package.get("Error") for package in go.packages(root, "./web"))
    assert refused is bool(words)
    if not words:
        assert facts.project_facts(root, settings())["embedded_files"] == ["web/dist/index.html"]
        return
    with pytest.raises(errors.SourceError) as caught:
        facts.project_facts(root, settings())
    assert words in caught.value.message
    assert remedy in caught.value.remedy
    assert ("npm" in caught.value.remedy) is ("package.json" in files)


def test_a_pattern_that_a_build_leaves_out_may_embed_nothing(go_module: Path, settings: Callable[..., Settings]) -> None:
    root = _embedding(go_module, "dist/*", {})
    page = root / "web/page.go"
    write(root, {"web/page.go": "//go:build !dev\n\n" + page.read_text(), "web/dev.go": "package web\n"})
    with pytest.raises(errors.SourceError, match="there is no web/dist"):
        facts.project_facts(root, settings())
    assert facts.project_facts(root, settings(build_tags=["dev"]))["embedded_files"] == []


@pytest.mark.parametrize(
    ("pattern", "files", "told"),
    [
        ("dist/*", {"web/dist/.gitkeep": ""}, ["web/page.go embeds dist/*"]),
        ("all:dist", {"web/dist/.gitkeep": "", "web/dist/assets/.keep": ""}, ["web/page.go embeds all:dist"]),
        ("dist/*", {"web/dist/.gitkeep": "", "web/dist/index.html": ""}, []),
        ("dist/.settings", {"web/dist/.settings": ""}, []),
    ],
)
def test_what_keeps_the_place_of_what_is_generated_is_no_page(
    go_module: Path, settings: Callable[..., Settings], pattern: str, files: dict[str, str], told: list[str]
) -> None:
    assert facts.project_facts(_embedding(go_module, pattern, files), settings())["placeholders"] == told
