"""The collection as its users have it: installed, in projects that know nothing of the checkout; and the checkout by the collection's name."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from plays import changed, environment, free_port, get, left_on_engine, run
from projects import INVENTORY, Project

NAME = "abroad"
GO_MOD = "module example.org/abroad\n\ngo 1.24\n"
MAIN = """\
package main

import (
	"fmt"
	"log"
	"net/http"
)

func main() {
	http.HandleFunc("/alive", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "yes") })
	http.HandleFunc("/greeting", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Good day from abroad") })
	log.Fatal(http.ListenAndServe(":9321", nil))
}
"""
SITE = """\
- name: Build the service
  ansible.builtin.import_playbook: proven.go_service.build
"""
ROLES = """\
- name: Build the service
  hosts: all
  gather_facts: false
  roles:
    - proven.go_service.docker_engine
    - proven.go_service.base_images
    - proven.go_service.go_service
"""


def write_source(directory: Path) -> None:
    """Write a service that no file of the collection knows."""
    directory.mkdir()
    (directory / "go.mod").write_text(GO_MOD)
    (directory / "main.go").write_text(MAIN)


def files(directory: Path) -> dict[str, int]:
    """Return the files below a directory, and when they were written; what Python compiles is left out."""
    return {str(path): path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def container_id(name: str) -> str:
    """Return the id of a service's container."""
    return subprocess.check_output(["docker", "inspect", "--format", "{{.Id}}", name], text=True).strip()


@pytest.fixture
def settings(builder_image: str, tmp_path: Path) -> Iterator[dict]:
    """Return the variables of the service; whatever is left of it on the Engine at the end is taken away."""
    assert builder_image
    port = free_port()
    yield {
        "go_service_name": NAME,
        "go_service_source": "source",
        "go_service_port": 9321,
        "go_service_publish": f"127.0.0.1:{port}",
        "go_service_health_path": "/alive",
        "go_service_work_dir": str(tmp_path / "work"),
    }
    subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)


def test_a_service_without_a_checkout(project: Project, git_project: Project, checkout: Path, settings: dict) -> None:
    """A user's own service: built by a playbook of three lines, then found as it should be whichever way the collection came, and removed."""
    port = int(settings["go_service_publish"].split(":")[1])
    for user in (project, git_project):
        write_source(user.root / "source")
        (user.root / "variables.json").write_text(json.dumps(settings))
    (project.root / "site.yml").write_text(SITE)
    (git_project.root / "site.yml").write_text(ROLES)
    before = files(project.installed)
    play = ("ansible-playbook", "-i", "inventory.yml", "-e", "@variables.json")
    try:
        assert changed(project.run(*play, "site.yml")) > 0
        assert get(port, "/greeting") == (200, "Good day from abroad")
        deployed = container_id(NAME)
        # Named, from below the project: what is relative is found, and the report is where the user is.
        (project.root / "below").mkdir()
        again = ("ansible-playbook", "-i", "../inventory.yml", "-e", "@../variables.json", "proven.go_service.build")
        assert changed(project.run(*again, cwd=project.root / "below")) == 0
        assert changed(git_project.run(*play, "site.yml")) == 0
        for place in (project.root, project.root / "below", git_project.root):
            assert json.loads((place / f"reports/localhost/{NAME}.json").read_text())["verdict"] in ("pass", "warn")
        assert files(project.installed) == before
        # The checkout, in a path with a blank, by path and by name.
        env = environment(ANSIBLE_CONFIG=checkout / "ansible.cfg", ANSIBLE_HOME=project.home / ".ansible")
        given = {**settings, "go_service_source": str(project.root / "source")}
        for playbook in ("playbooks/build.yml", "proven.go_service.build"):
            assert changed(run("ansible-playbook", playbook, "-e", json.dumps(given), cwd=checkout, env=env)) == 0
        assert (checkout / f"reports/localhost/{NAME}.json").is_file()
        assert container_id(NAME) == deployed
    finally:
        project.run(*play, "proven.go_service.remove")
    assert left_on_engine(NAME) == []
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
        pass


# Looks for each source as a run does, in check mode, and says which module it found.
LOOK = """\
- name: Look for sources
  hosts: all
  gather_facts: false
  tasks:
    - name: Look for one
      ansible.builtin.include_tasks: "{{ playbook_dir }}/look.yml"
      loop: "{{ sources }}"
      loop_control:
        loop_var: go_service_source
"""
LOOK_FOR_ONE = """\
- name: Look
  ansible.builtin.include_role:
    name: proven.go_service.go_service
    tasks_from: build
  vars:
    go_service_name: abroad
- name: Say what was found
  ansible.builtin.debug:
    msg: "FOUND {{ go_service_source }} {{ __go_service_prepared.plan.project.module_path }}"
"""
PLACES = ("current", "inventory", "playbook", "above")


def lay_out(top: Path) -> dict[str, Path]:
    """Make four places; the source that is named after one of them is in that place and in all that come after it."""
    places = {"current": top / "called/here", "inventory": top / "hosts", "playbook": top / "plays/books", "above": top / "plays"}
    for order, (place, directory) in enumerate(places.items()):
        for source in (directory / f"from-{first}" for first in PLACES[: order + 1]):
            source.mkdir(parents=True)
            (source / "go.mod").write_text(f"module {place}.example.org\n\ngo 1.24\n")
            (source / "main.go").write_text(MAIN)
    (places["playbook"] / "look.yml").write_text(LOOK_FOR_ONE)
    (places["playbook"] / "site.yml").write_text(LOOK)
    (places["inventory"] / "hosts.yml").write_text(INVENTORY)
    return places


def found(output: str) -> dict[str, str]:
    """Return for each source that was looked for the module that was found."""
    return dict(re.findall(r"FOUND (\S+) ([^\s\"]+)", output))


@pytest.mark.parametrize(
    ("origin", "inventory"),
    [
        ("installed", "hosts/hosts.yml"),
        ("checkout", "localhost,"),
        *(
            pytest.param(*way, marks=pytest.mark.long)
            for way in (("installed", "hosts"), ("installed", "localhost,"), ("checkout", "hosts"), ("checkout", "hosts/hosts.yml"))
        ),
    ],
)
def test_where_a_relative_source_is_looked_for(origin: str, inventory: str, project: Project, checkout: Path, tmp_path: Path) -> None:
    """In the current directory, the inventory's, the playbook's, the one above it, and in the collection; the first one wins."""
    places = lay_out(tmp_path)
    env = project.env if origin == "installed" else {**project.env, "ANSIBLE_COLLECTIONS_PATH": str(checkout / "collections")}
    listed = inventory.endswith(",")
    names = [place for place in PLACES if not (listed and place == "inventory")]
    variables = {"sources": [*(f"from-{name}" for name in names), "examples/cat-server"], "ansible_connection": "local"}
    variables["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
    command = ["ansible-playbook", "--check", "-i", inventory if listed else tmp_path / inventory, "-e", json.dumps(variables)]
    output = run(*command, "../../plays/books/site.yml", cwd=places["current"], env=env)
    assert found(output) == {**{f"from-{name}": f"{name}.example.org" for name in names}, "examples/cat-server": "example.com/cat-server"}
    assert not (places["current"] / "reports").exists()
