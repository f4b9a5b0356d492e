"""A service that an earlier version deployed is left untouched by this one, which can roll it back and remove it.

A change of the generated Dockerfile is a new image for every service: it is built once, and the images of the earlier version stay to be
returned to. The commit that makes such a change fails the test with its parent.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plays import PROJECT, changed, environment, free_port, get, left_on_engine, run
from projects import Project

# The last version whose roles carried their plugins themselves.
ROLES_ALONE = "bd73f7b2d2f1c79126162fee6c590c0659fe9c3e"


def unpack(revision: str, directory: Path) -> Path:
    """Write an earlier version of the project to a directory; skip the test where it cannot be had, or cannot run here."""
    archive = subprocess.run(["git", "archive", revision], cwd=PROJECT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"{revision} is not in this clone, which needs its whole history (git fetch --unshallow)")
    directory.mkdir()
    # Python 3.11 of Debian 12 knows no filter for what it unpacks.
    subprocess.run(["tar", "--extract", "--directory", directory], input=archive.stdout, check=True)
    return directory


def community_docker(project: Project) -> int:
    """Return the major version of community.docker that the package ansible brings."""
    listed = json.loads(project.run("ansible-galaxy", "collection", "list", "--format", "json", "community.docker"))
    return int(next(iter(listed.values()))["community.docker"]["version"].split(".")[0])


def facts(name: str) -> dict[str, str]:
    """Return what must not change: the ids of container and image, and when the container was started."""
    container = json.loads(subprocess.check_output(["docker", "inspect", name], text=True))[0]
    return {"container": container["Id"], "image": container["Image"], "started": container["State"]["StartedAt"]}


@pytest.mark.long
@pytest.mark.parametrize("revision", [ROLES_ALONE, "HEAD~1"], ids=["roles-alone", "parent"])
def test_upgrade(revision: str, project: Project, builder_image: str, runtime_image: str, tmp_path: Path) -> None:
    """Two images by the earlier version; then this one builds what its Dockerfile asks for, finds nothing to change, goes back, and takes all away."""
    old = unpack(revision, tmp_path / "old")
    if revision == ROLES_ALONE and community_docker(project) > 4:
        pytest.skip("that version imports what community.docker keeps private since its version 5")
    if revision != ROLES_ALONE and not (old / "galaxy.yml").exists():
        pytest.skip("the commit before this one is no collection yet")
    name, port, reports = f"upgrade-{revision[:4].lower()}", free_port(), tmp_path / "reports"
    source = tmp_path / "source"
    shutil.copytree(project.installed / "examples/cat-server", source)
    variables: dict[str, Any] = {
        "go_service_name": name,
        "go_service_source": str(source),
        "go_service_publish": f"127.0.0.1:{port}",
        "go_service_work_dir": str(tmp_path / "work"),
        "go_service_report_dir": str(reports),
        # An earlier version that finds no registry puts other images together: a service is built anew on another base.
        **{f"{role}_builder{suffix}": builder_image for role, suffix in (("go_service", "_image"), ("base_images", ""))},
        **{f"{role}_runtime{suffix}": runtime_image for role, suffix in (("go_service", "_image"), ("base_images", ""))},
    }
    given = ("-e", json.dumps(variables))
    report = reports / f"localhost/{name}.json"

    def before(playbook: str) -> str:
        return run("ansible-playbook", f"playbooks/{playbook}.yml", *given, cwd=old, env=environment(ANSIBLE_HOME=tmp_path / "home"))

    def now(playbook: str) -> str:
        return project.run("ansible-playbook", "-i", "inventory.yml", f"proven.go_service.{playbook}", *given)

    try:
        assert changed(before("build")) > 0
        first = facts(name)
        with (source / "main.go").open("a") as main:
            main.write("\n// An edit.\n\nvar edited = true\n")
        assert changed(before("build")) > 0
        second, verdict = facts(name), json.loads(report.read_text())["verdict"]
        assert second["image"] != first["image"]

        # Of the roles alone the Dockerfile was another one.
        before_this = first
        if revision == ROLES_ALONE:
            assert changed(now("build")) > 0
            assert facts(name)["image"] not in (first["image"], second["image"])
            before_this = second
        newest = facts(name)
        assert changed(now("build")) == 0
        assert facts(name) == newest
        assert newest == second or revision == ROLES_ALONE
        assert json.loads(report.read_text())["verdict"] == verdict
        assert changed(now("rollback")) > 0
        assert facts(name)["image"] == before_this["image"]
        assert get(port, "/health")[0] == 200
    finally:
        now("remove")
    assert left_on_engine(name) == []
    assert not (tmp_path / "work" / name).exists()
