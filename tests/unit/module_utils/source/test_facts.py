"""From the settings to the facts of a source: where it is, and what decides its build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import errors, facts


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
