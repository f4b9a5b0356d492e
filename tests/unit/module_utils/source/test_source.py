"""From a source tree to what decides its build: versions, origin, packages to compile ahead, labels, files let back in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile
from ansible_collections.proven.go_service.plugins.module_utils.source import errors, facts, origin, versions

MAIN = 'package main\n\nimport (\n\t"net/http"\n\t"example.org/lib"\n)\n\nfunc main() { http.Handle("/", lib.H) }\n'


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Return a Go module with one requirement."""
    (tmp_path / "go.mod").write_text("module example.com/api\n\ngo 1.22\n\nrequire example.org/lib v1.0.0\n")
    (tmp_path / "main.go").write_text(MAIN)
    (tmp_path / "main_test.go").write_text('package main\n\nimport "testing/iotest"\n\nvar _ = iotest.ErrTimeout\n')
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("golang:1.27-alpine3.24", "1.27"),
        ("golang:1.27.3", "1.27.3"),
        ("golang:1.27rc1-alpine", "1.27rc1"),
        ("registry.example.com:5000/mirror/golang:1.27.3-alpine@sha256:" + "0" * 64, "1.27.3"),
        ("stand-in/go-builder:1.27.3", "1.27.3"),
        ("builders/go:go1.27", "1.27"),
        ("golang:alpine", ""),
        ("golang:1-alpine", ""),
        ("golang", ""),
        ("registry:5000/golang", ""),
        ("golang@sha256:" + "0" * 64, ""),
    ],
)
def test_the_go_version_of_a_builder(reference: str, version: str) -> None:
    assert versions.builder_version(reference) == version


def test_the_facts_of_a_source(module: Path, settings: Callable[..., Settings]) -> None:
    found = facts.project_facts(module, settings())
    assert {key: found[key] for key in ("module_path", "main_package", "go_minimum", "has_requirements", "vendored", "profiled")} == {
        "module_path": "example.com/api",
        "main_package": ".",
        "go_minimum": "1.22",
        "has_requirements": True,
        "vendored": False,
        "profiled": False,
    }
    assert (found["std_packages"], found["module_packages"]) == (["net/http"], ["example.org/lib"])


def test_what_tests_import_counts_where_they_run(module: Path, settings: Callable[..., Settings]) -> None:
    found = facts.project_facts(module, settings(run_tests=True))["std_packages"]
    assert found == ["net/http", "testing", "testing/internal/testdeps", "testing/iotest"]


def test_a_module_too_new_for_the_builder_is_refused(module: Path, settings: Callable[..., Settings]) -> None:
    (module / "go.mod").write_text("module example.com/api\n\ngo 1.99\n")
    with pytest.raises(errors.SourceError) as caught:
        facts.project_facts(module, settings())
    assert "1.99" in caught.value.message and "go_service_builder_image" in caught.value.message + caught.value.remedy
    found = facts.project_facts(module, settings(builder_image="golang:alpine"))
    with pytest.raises(errors.SourceError, match=r"1\.99"):
        versions.check_builder(found, "1.27.3")
    versions.check_builder(found, "1.99.1")


@pytest.mark.parametrize(("target", "refused"), [("../lib", True), ("./lib", False), ("/opt/lib", True)])
def test_a_replacement_outside_of_the_source_is_refused(
    module: Path, settings: Callable[..., Settings], target: str, refused: bool
) -> None:
    (module / "go.mod").write_text(
        f"module example.com/api\n\ngo 1.22\n\nrequire example.org/lib v1.0.0\n\nreplace example.org/lib => {target}\n"
    )
    if not refused:
        assert facts.project_facts(module, settings())["local_replaces"]
        return
    with pytest.raises(errors.SourceError) as caught:
        facts.project_facts(module, settings())
    assert target in caught.value.message
    assert "go_service_module_dir" in caught.value.remedy
    (module / "vendor").mkdir()
    (module / "vendor/modules.txt").write_text("# example.org/lib v1.0.0\n## explicit\nexample.org/lib\n")
    assert facts.project_facts(module, settings())["vendored"]


def test_a_profile_beside_the_main_package_is_seen(module: Path, settings: Callable[..., Settings]) -> None:
    (module / "default.pgo").touch()
    assert facts.project_facts(module, settings())["profiled"]


# Origin


@pytest.fixture
def git(module: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what runs git in the module, which is a repository with one commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", "-C", str(module), *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    run("init", "-q")
    run("add", ".")
    run("commit", "-q", "-m", "x", "--date", "2026-01-02T03:04:05Z")
    return run


def test_the_origin_of_a_clean_repository(module: Path, git: Callable[..., str]) -> None:
    git("remote", "add", "origin", "https://alice:secret@git.example.com/api.git")
    assert origin.read_origin(module) == {
        "revision": git("rev-parse", "HEAD"),
        "date": git("log", "-1", "--format=%cI").replace("Z", "+00:00"),
        "url": "https://git.example.com/api.git",
    }


@pytest.mark.parametrize(
    ("kind", "dirty"),
    [
        ("nothing", False),
        ("other content", True),
        ("removed", True),
        ("execute bit", True),
        ("a link in its place", True),
        ("a pipe in its place", True),
        ("line ends of another system", False),
        ("only its time", False),
    ],
)
def test_an_edit_of_any_kind_is_seen(module: Path, git: Callable[..., str], kind: str, dirty: bool) -> None:
    file = module / "main.go"
    changes: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "other content": lambda: file.write_text(MAIN.replace("lib.H", "lib.G")),
        "removed": file.unlink,
        "execute bit": lambda: file.chmod(0o755),
        "a link in its place": lambda: (file.rename(module / "x"), file.symlink_to("x")),
        "a pipe in its place": lambda: (file.unlink(), os.mkfifo(file)),
        "line ends of another system": lambda: file.write_bytes(MAIN.replace("\n", "\r\n").encode()),
        "only its time": lambda: os.utime(file, (1, 1)),
    }
    (module / "link").symlink_to("main.go")
    git("add", ".")
    git("commit", "-q", "-m", "y")
    changes[kind]()
    assert origin.read_origin(module)["revision"] == git("rev-parse", "HEAD") + ("-dirty" if dirty else "")


def test_large_content_that_is_kept_elsewhere_is_no_edit(module: Path, git: Callable[..., str]) -> None:
    content = b"large\n" * 1000
    (module / "large").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    )
    git("add", ".")
    git("commit", "-q", "-m", "y")
    (module / "large").write_bytes(content)
    assert not origin.read_origin(module)["revision"].endswith("-dirty")


@pytest.mark.parametrize("way", ["packed", "detached", "worktree", "sha256"])
def test_any_repository_is_read(module: Path, git: Callable[..., str], tmp_path: Path, way: str) -> None:
    where = module
    if way == "packed":
        git("gc", "-q")
        assert not list((module / ".git/refs/heads").iterdir())
    elif way == "detached":
        git("checkout", "-q", "--detach")
    elif way == "worktree":
        where = tmp_path / "elsewhere"
        git("worktree", "add", "-q", str(where))
    else:
        shutil.rmtree(module / ".git")
        git("init", "-q", "--object-format=sha256")
        git("add", ".")
        git("commit", "-q", "-m", "x")
    assert origin.read_origin(where)["revision"] == git("rev-parse", "HEAD")


def test_a_git_file_that_points_to_a_foreign_repository_tells_nothing(module: Path, git: Callable[..., str], tmp_path: Path) -> None:
    git("remote", "add", "origin", "https://git.example.com/private.git")
    other = tmp_path / "other"
    other.mkdir()
    for line in (f"gitdir: {module}/.git", "gitdir: /etc/shadow", "gitdir: ", "x", "gitdir: \0"):
        (other / ".git").write_text(line)
        assert origin.read_origin(other) == {"revision": "", "date": "", "url": ""}


def test_the_origin_of_an_edited_repository(module: Path, git: Callable[..., str]) -> None:
    (module / "untracked").touch()
    assert not origin.read_origin(module)["revision"].endswith("-dirty")
    (module / "main.go").write_text(MAIN + "\n")
    assert origin.read_origin(module)["revision"] == git("rev-parse", "HEAD") + "-dirty"
    assert origin.read_origin(module)["url"] == ""


def test_edits_elsewhere_in_a_repository_do_not_count(module: Path, git: Callable[..., str]) -> None:
    (module / "api").mkdir()
    (module / "api/main.go").write_text(MAIN)
    git("add", ".")
    git("commit", "-q", "-m", "y")
    (module / "main.go").write_text(MAIN + "\n")
    assert not origin.read_origin(module / "api")["revision"].endswith("-dirty")


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "/nonexistent"])
def test_a_source_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert origin.read_origin(tmp_path) == {"revision": "", "date": "", "url": ""}


# What follows for the generated files

HTTP_LAYER = ["embed", "encoding/json", "flag", "log/slog", "net/http", "os/signal"]


@pytest.mark.parametrize(
    ("packages", "layers"),
    [
        ([], []),
        (["fmt", "os"], [["fmt", "os"]]),
        (["fmt", "net/http", "strings"], [HTTP_LAYER]),
        (["embed", "html/template", "log/slog", "net/http"], [HTTP_LAYER, ["html/template"]]),
    ],
)
def test_the_layers_of_the_standard_library(packages: list[str], layers: list[list[str]]) -> None:
    assert dockerfile.std_layers(packages) == layers


def test_what_the_common_layer_brings(go_binary: Path, tmp_path: Path) -> None:
    """By the builder's own Go."""
    known = subprocess.run([go_binary, "list", "-deps", *HTTP_LAYER], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert set(known.split()) >= dockerfile._BROUGHT


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"module_files": False, "std_layers": [HTTP_LAYER], "module_subdir": "", "copied_module_files": "go.mod go.su[m] ./"}),
        ({"has_requirements": True, "module_packages": ["x.y/z"]}, {"module_files": True, "module_packages": ["x.y/z"]}),
        ({"has_requirements": True, "module_packages": ["x.y/z"], "workspace": True}, {"module_files": False, "module_packages": []}),
        ({"has_requirements": True, "module_packages": ["x.y/z"], "local_replaces": True}, {"module_files": False, "module_packages": []}),
        ({"profiled": True, "module_packages": ["x.y/z"]}, {"std_layers": [], "module_packages": []}),
        ({"module_dir": "a/b"}, {"module_subdir": "/a/b", "copied_module_files": "a/b/go.mod a/b/go.su[m] ./"}),
    ],
)
def test_what_is_compiled_above_the_source(
    project: dict[str, Any], settings: Callable[..., Settings], changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    facts = dockerfile.dockerfile_facts({**project, **changes}, settings())
    assert {key: facts[key] for key in expected} == expected


def test_build_tags_are_the_same_in_every_layer(project: dict[str, Any], settings: Callable[..., Settings]) -> None:
    facts = dockerfile.dockerfile_facts(project, settings(build_tags=["a", "b"]))
    assert facts["goflags"] == "-trimpath -buildvcs=false -gcflags=all=-dwarf=false -tags=a,b"


@pytest.mark.parametrize(("ldflags", "compiled"), [("-w -s", False), ("-s -X main.version=1", False), ("-X main.w=-1", True), ("", True)])
def test_what_debuggers_need_is_compiled_where_the_linker_keeps_it(
    project: dict[str, Any], settings: Callable[..., Settings], ldflags: str, compiled: bool
) -> None:
    facts = dockerfile.dockerfile_facts(project, settings(ldflags=ldflags))
    assert ("-dwarf=false" not in facts["goflags"]) == compiled


def test_labels_say_where_an_image_comes_from(project: dict[str, Any], settings: Callable[..., Settings]) -> None:
    origin = {"revision": "abc-dirty", "date": "2026-01-02T03:04:05Z", "url": "https://git.example.com/x"}
    labels = dockerfile.image_labels({**project, "origin": origin}, settings(version="1.4"), "f" * 64, "sha256:1")
    # The version that was given is missing: it stands in the Dockerfile.
    assert labels == {
        "go-service.digest": "f" * 64,
        "org.opencontainers.image.revision": "abc-dirty",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "org.opencontainers.image.source": "https://git.example.com/x",
        "org.opencontainers.image.base.digest": "sha256:1",
    }


def test_labels_without_an_origin(project: dict[str, Any], settings: Callable[..., Settings]) -> None:
    assert dockerfile.image_labels(project, settings(), "f" * 64, "") == {
        "go-service.digest": "f" * 64,
        "org.opencontainers.image.version": "f" * 12,
    }


def test_a_label_cannot_leave_its_quotes() -> None:
    instruction = dockerfile.label_instruction({"a": 'x" USER="$HOME\\', "b": "y"})
    assert instruction == 'LABEL a="x\\" USER=\\"\\$HOME\\\\" \\\n      b="y"\n'


@pytest.mark.parametrize("value", ["a\nUSER root", "a\r\nb", "a\u2028b", "\x1b[31m", "a\x00b", "\udcff", "\\\n", "v1\n\n# x"])
def test_whatever_a_label_holds_is_one_line(value: str) -> None:
    instruction = dockerfile.label_instruction({"first": value, "last": "y"})
    instruction.encode()
    assert instruction.isascii()
    assert [line.partition("=")[0].split()[-1] for line in instruction.splitlines()] == ["first", "last"]
    assert instruction.removesuffix("\n").replace(" \\\n", "").isprintable()


# Where the source is


def test_the_first_directory_that_exists_is_taken(tmp_path: Path) -> None:
    for name in ("one", "two/api", "three/api"):
        (tmp_path / name).mkdir(parents=True)
    roots = [str(tmp_path / name) for name in ("one", "two", "three")]
    assert facts.find_source("api", roots) == tmp_path / "two/api"
    assert facts.find_source(str(tmp_path / "three/api"), roots) == tmp_path / "three/api"
    assert facts.find_source("../three/./api", roots[:1]) == tmp_path / "three/api"


def test_a_missing_source_names_every_place_looked_at(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError) as caught:
        facts.find_source("api", [str(tmp_path / "one"), str(tmp_path / "two"), str(tmp_path / "one")])
    assert caught.value.message == f"no such directory: {tmp_path}/one/api, {tmp_path}/two/api"
    assert "go_service_source" in caught.value.remedy


def test_a_source_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "api.tar").touch()
    with pytest.raises(errors.SourceError, match=r"api\.tar is not a directory"):
        facts.find_source("api.tar", [str(tmp_path / "none"), str(tmp_path)])
