"""What an archive of the collection holds, and what its documents say to Ansible's own tools."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from plays import environment, run
from projects import Project

# All that may be at the top of an archive. What is new there has to be wanted.
TOP = {
    "CHANGELOG.md",
    "LICENSE",
    "README.ja.md",
    "README.md",
    "SECURITY.md",
    "changelogs",
    "docs",
    "examples",
    "meta",
    "playbooks",
    "plugins",
    "roles",
}
GENERATED = {"MANIFEST.json", "FILES.json"}
LEFT_OUT = {"docs/benchmarks.json"}
# What lies about in a checkout that is worked in.
LITTER = (
    ".ansible/collections/x.yml",
    ".cache/default.log",
    ".pytest_cache/x",
    ".ruff_cache/x",
    ".venv/bin/python",
    "ansible-navigator.log",
    "changelogs/.plugin-cache.yaml",
    "changelogs/fragments/next.yml",
    "playbooks/build-artifact-2026-11-29T19:00:49.728929+00:00.json",
    "plugins/modules/__pycache__/deploy.cpython-311.pyc",
    "proven-go_service-0.9.0.tar.gz",
    "reports/localhost/cat-server.json",
    "tests/output/x",
)
ROLES = ("base_images", "bundle", "docker_engine", "go_service", "pull")


def files(archive: Path) -> set[str]:
    """Return the files of an archive."""
    with tarfile.open(archive) as opened:
        return {member.name for member in opened.getmembers() if not member.isdir()}


def tracked(checkout: Path) -> set[str]:
    """Return the files of a git repository."""
    return set(subprocess.check_output(["git", "ls-files"], cwd=checkout, text=True).splitlines())


def test_it_is_complete_and_has_nothing_of_the_workshop(archive: Path, checkout: Path) -> None:
    """Every file of the folders that belong to the collection, and no other."""
    found = files(archive)
    assert {name.split("/")[0] for name in found} == TOP | GENERATED
    wanted = {name for name in tracked(checkout) if name.split("/")[0] in TOP and not name.startswith("changelogs/fragments/")}
    assert found - GENERATED == wanted - LEFT_OUT


def test_litter_of_a_checkout_stays_out(archive: Path, checkout: Path, tmp_path: Path) -> None:
    """An archive that is built where somebody works is the same."""
    dirty = tmp_path / "dirty"
    subprocess.run(["git", "clone", "--quiet", checkout, dirty], check=True)
    for name in LITTER:
        (dirty / name).parent.mkdir(parents=True, exist_ok=True)
        (dirty / name).write_text("litter")
    run("ansible-galaxy", "collection", "build", "--output-path", tmp_path, cwd=dirty, env=environment(ANSIBLE_HOME=tmp_path / "home"))
    assert files(next(tmp_path.glob("*.tar.gz"))) == files(archive)


def test_a_checkout_finds_itself_by_links(checkout: Path) -> None:
    """There is a link for everything that an archive has, and galaxy.yml in place of its manifests."""
    links = {link.name: link for link in (checkout / "collections/ansible_collections/proven/go_service").iterdir()}
    assert set(links) == TOP | {"galaxy.yml"}
    assert {name: link.resolve() for name, link in links.items()} == {name: (checkout / name).resolve() for name in links}


def test_archive_and_git_install_the_same(project: Project, git_project: Project) -> None:
    """File by file."""

    def content(installed: Path) -> dict[str, bytes]:
        own = {
            path.relative_to(installed).as_posix(): path
            for path in installed.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        return {name: path.read_bytes() for name, path in own.items() if name not in GENERATED}

    assert content(project.installed) == content(git_project.installed)


def test_files_that_are_named_are_there(archive: Path) -> None:
    """An execution environment is made from files of the archive; the changelog knows the version of the collection."""
    with tarfile.open(archive) as opened:

        def read(name: str) -> str:
            return opened.extractfile(name).read().decode()

        needs = yaml.safe_load(read("meta/execution-environment.yml"))["dependencies"]
        assert all(read(name).strip() for name in needs.values())
        version = json.loads(read("MANIFEST.json"))["collection_info"]["version"]
        assert version in yaml.safe_load(read("changelogs/changelog.yaml"))["releases"]
        assert version in read("CHANGELOG.md").replace("\\", "")


@pytest.mark.parametrize("kind", ["role", "module", "filter"])
def test_ansible_doc_shows_everything(project: Project, kind: str) -> None:
    """Without a warning, from the installed collection."""
    listed = json.loads(project.run("ansible-doc", "--type", kind, "--list", "--json", "proven.go_service"))
    names = sorted(listed)
    if kind == "role":
        assert names == [f"proven.go_service.{role}" for role in ROLES]
    elif kind == "module":
        assert names == sorted(f"proven.go_service.{path.stem}" for path in (project.installed / "plugins/modules").glob("*.py"))
    else:
        used = "\n".join(path.read_text() for path in (project.installed / "roles").rglob("*.yml"))
        assert names
        assert [name for name in names if name not in used] == []
    shown = project.run("ansible-doc", "--type", kind, *names)
    assert "WARNING" not in shown
    assert "ERROR" not in shown
    assert shown.count("> ") >= len(names)
