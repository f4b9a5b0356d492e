"""A service of one's own: the play that proposes an inventory, as a user calls it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import go_trees
import yaml
from plays import PROJECT, ansible_playbook, environment

TREE = {
    "go.mod": "module example.com/price-api\n\ngo 1.22\n",
    "main.go": 'package main\n\nimport "net/http"\n\nfunc main() {\n\thttp.HandleFunc("/health", nil)\n\thttp.ListenAndServe(":9001", nil)\n}\n',
}


def new(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the collection's play in a directory."""
    env = environment(
        ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections",
        ANSIBLE_STDOUT_CALLBACK="proven.go_service.progress",
        ANSIBLE_HOME=directory / "home",
        ANSIBLE_LOCALHOST_WARNING="False",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="False",
    )
    return ansible_playbook("proven.go_service.new", *arguments, cwd=directory, env=env)


def test_a_source_becomes_an_inventory_that_ansible_reads_and_that_is_not_overwritten(tmp_path: Path) -> None:
    go_trees.write(tmp_path / "src", TREE)
    before = sorted(path for path in (tmp_path / "src").rglob("*"))
    check = new(tmp_path, "-e", "go_service_source=src", "--check")
    assert check.returncode == 0 and not (tmp_path / "inventory").exists(), check.stdout
    done = new(tmp_path, "-e", "go_service_source=src")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "port          9001 (main.go:7)" in done.stdout
    assert "ansible-playbook -i inventory/price-api.yml proven.go_service.build" in done.stdout
    host = yaml.safe_load((tmp_path / "inventory/price-api.yml").read_text())["all"]["hosts"]["localhost"]
    assert (host["go_service_source"], host["go_service_port"]) == (str(tmp_path / "src"), 9001)
    again = new(tmp_path, "-e", "go_service_source=src")
    assert again.returncode == 2 and "inventory/price-api.yml exists, and is not overwritten" in again.stdout
    # A place that is named is looked at before a source, which may be a large one; a check finds it too.
    for more in (("--check",), ("-e", "go_service_name=price-api"), ("-e", "new_inventory=inventory/price-api.yml", "--check")):
        again = new(tmp_path, "-e", "go_service_source=src", *more)
        assert again.returncode == 2 and "inventory/price-api.yml exists, and is not overwritten" in again.stdout, more
    assert sorted(path for path in (tmp_path / "src").rglob("*")) == before
    (tmp_path / "src/go.mod").unlink()
    again = new(tmp_path, "-e", "go_service_source=src", "-e", "new_inventory=inventory/price-api.yml")
    assert "inventory/price-api.yml exists" in again.stdout and "go.mod" not in again.stdout


def test_what_cannot_be_looked_at_is_told_with_a_remedy(tmp_path: Path) -> None:
    address = new(tmp_path, "-e", "go_service_source=https://example.com/x.git")
    assert address.returncode == 2 and "git clone" in address.stdout
    missing = new(tmp_path, "-e", "go_service_source=nowhere")
    assert missing.returncode == 2 and "no such directory" in missing.stdout
    assert not (tmp_path / "inventory").exists()
