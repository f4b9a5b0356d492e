"""Projects of users, who have the collection installed and no checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plays import environment, run

# A port on which nobody listens: what is not on this machine is not fetched from Galaxy.
NO_GALAXY = "http://127.0.0.1:9"
INVENTORY = """\
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
  vars:
    base_images_fallback: assemble
"""


@dataclass(frozen=True)
class Project:
    """A directory of a user's, with an inventory and the collection installed beside it, and a home in which nothing else is."""

    root: Path
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of its commands."""
        return environment(
            HOME=self.home,
            ANSIBLE_HOME=self.home / ".ansible",
            ANSIBLE_CONFIG=self.root / "ansible.cfg",
            ANSIBLE_COLLECTIONS_PATH=self.root / "collections",
            ANSIBLE_GALAXY_SERVER=NO_GALAXY,
        )

    @property
    def installed(self) -> Path:
        """Where the collection is."""
        return self.root / "collections/ansible_collections/proven/go_service"

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """Run a command, in the project unless said otherwise."""
        return run(*command, cwd=cwd or self.root, env=self.env)


def new_project(directory: Path, origin: str | Path) -> Project:
    """Return a project with the collection installed from an archive or an address."""
    project = Project(directory / "project", directory / "home")
    project.home.mkdir()
    project.root.mkdir()
    (project.root / "ansible.cfg").write_text("[defaults]\n")
    (project.root / "inventory.yml").write_text(INVENTORY)
    project.run("ansible-galaxy", "collection", "install", origin)
    return project
