"""What is small in the roles beside go_service: that specs and defaults agree, what is refused, and what the templates write."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import PROJECT, ansible_playbook, environment

ROLES = ("base_images", "docker_engine", "pull")


@pytest.mark.parametrize("role", ROLES)
def test_specs_and_defaults_say_the_same(role: str) -> None:
    place = PROJECT / "roles" / role
    specs = yaml.safe_load((place / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((place / "defaults/main.yml").read_text(encoding="utf-8"))
    assert {name: option["default"] for name, option in specs.items()} == defaults


def run(tmp_path: Path, tasks: list[dict[str, Any]], **variables: Any) -> tuple[int, str]:
    """Run tasks on this machine; return how the play ended, and all that it printed."""
    plays = tmp_path / "play.yml"
    plays.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    settings = environment(
        ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections", ANSIBLE_HOME=tmp_path / "home", ANSIBLE_LOCALHOST_WARNING="false"
    )
    done = ansible_playbook("-i", PROJECT / "inventory/local.yml", plays, "-e", json.dumps(variables), cwd=tmp_path, env=settings)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


REFUSED = {
    "bundle": [
        ("bundle_build", "price-api", 'bundle_build is "price-api", which is not a list'),
        ("bundle_build", {"price": "api"}, "bundle_build is"),
        ("bundle_releases", "trixie", 'bundle_releases is "trixie", which is not a list'),
    ],
    "pull": [
        ("pull_repository", "a b", "pull_repository is not an address"),
        ("pull_repository", "--upload-pack=x", "pull_repository is not an address"),
        ("pull_version", "-x", "pull_version is"),
        ("pull_playbook", "../x.yml", "pull_playbook is"),
        ("pull_inventory", "/etc/x", "pull_inventory is"),
        ("pull_every", "soon", "pull_every is"),
        ("pull_spread", "5min\nExecStart=x", "pull_spread is"),
        ("pull_every", "0", "a machine cannot pull without a pause"),
        ("pull_packages", ["--index-url=x"], "pull_packages is"),
        ("pull_packages", ["--index-url https://me:s3cret@x/simple"], "--index-url https://***@x/simple"),
        ("pull_packages", "ansible", "pull_packages is"),
        ("pull_arguments", "-a c", "pull_arguments is not a list of texts"),
        ("pull_directory", "/a b", "pull_directory is"),
    ],
    "docker_engine": [
        ("docker_engine_version", "latest", "docker_engine_version is"),
        ("docker_engine_version", "26.1", "give all three numbers of a release"),
        ("docker_engine_version", "28.5.2", "chooses among Docker's own packages"),
        ("docker_engine_repository", "ftp://x", "docker_engine_repository is"),
        ("docker_engine_repository", "https:///debian", "docker_engine_repository is"),
        (
            "docker_engine_repository",
            "https://me:s3cret@mirror",
            'docker_engine_repository is "https://***@mirror": credentials are not allowed',
        ),
        ("docker_engine_repository", "me:s3/cret@mirror", 'docker_engine_repository is "***@mirror"'),
        ("docker_engine_repository_key", "a key", "docker_engine_repository_key is neither"),
        ("docker_engine_repository_suite", "a b", "docker_engine_repository_suite is"),
        ("docker_engine_log_max_size", "much", "docker_engine_log_max_size is"),
        ("docker_engine_users", "root", "docker_engine_users is not a list"),
        ("docker_engine_users", ["a:b"], "docker_engine_users holds"),
        ("docker_engine_users", [None], "docker_engine_users has an entry without a value"),
        ("docker_engine_registry_mirrors", [None], "docker_engine_registry_mirrors has an entry without a value"),
        ("docker_engine_users", ["-x"], "docker_engine_users holds"),
        ("docker_engine_users", ["1000"], "docker_engine_users holds"),
        ("docker_engine_users", ["a\nb"], "docker_engine_users holds"),
        ("docker_engine_packages", "docker-ce", "docker_engine_packages is not a list"),
        ("docker_engine_registry_mirrors", "https://me:s3cret@x", "docker_engine_registry_mirrors is not a list"),
        ("docker_engine_insecure_registries", "myregistry", "docker_engine_insecure_registries is not a list"),
        ("docker_engine_insecure_registries", {"my": "registry"}, "docker_engine_insecure_registries is not a list"),
        ("docker_engine_proxies", "http://me:s3cret@x", "docker_engine_proxies is not a mapping"),
        ("docker_engine_daemon_options", '{"debug":true}', "docker_engine_daemon_options is not a mapping"),
    ],
}


@pytest.mark.parametrize("role", REFUSED)
def test_wrong_values_are_refused_each_by_its_name(tmp_path: Path, role: str) -> None:
    """In one play: each in a task of its own, which has to fail."""
    tasks = []
    for number, (name, value, _told) in enumerate(REFUSED[role]):
        include = {"ansible.builtin.include_role": {"name": f"proven.go_service.{role}", "tasks_from": "validate"}, "vars": {name: value}}
        mark = {"ansible.builtin.set_fact": {"refused": f"{{{{ refused | default([]) + [{number}] }}}}"}}
        tell = {"ansible.builtin.debug": {"msg": f"{{{{ 'message {number}: ' ~ ansible_failed_result.msg }}}}"}}
        tasks.append({"block": [include], "rescue": [mark, tell]})
    tasks.append({"ansible.builtin.debug": {"msg": "refused {{ refused }}"}})
    code, told = run(tmp_path, tasks)
    assert code == 0, told
    assert f"refused {list(range(len(REFUSED[role])))}" in told
    for number, (name, _value, words) in enumerate(REFUSED[role]):
        assert words in told.partition(f"message {number}: ")[2].partition("message ")[0].replace('\\"', '"'), name
    assert "s3" not in told


def test_names_that_users_have_are_not_refused(tmp_path: Path) -> None:
    validate = {"ansible.builtin.include_role": {"name": "proven.go_service.docker_engine", "tasks_from": "validate"}}
    code, told = run(tmp_path, [validate], docker_engine_users=["John.Doe", "dev", "_apt", "host$", "1a", "Jos\u00e9", "a@b.example"])
    assert code == 0, told


def test_a_bundle_with_dockers_own_engine_is_refused_by_the_variable_that_was_set(tmp_path: Path) -> None:
    validate = {"ansible.builtin.include_role": {"name": "proven.go_service.docker_engine", "tasks_from": "validate"}}
    given = {"docker_engine_source": "docker", "docker_engine_package_archive": "/cache/packages/trixie.tar"}
    code, told = run(tmp_path, [validate], **given)
    assert code and "leave docker_engine_package_archive out" in told
    code, told = run(tmp_path, [validate], **given, bundle_opened={"packages": "/cache/packages/trixie.tar"})
    assert code and "leave bundle_archive out" in told and "docker_engine_package_archive" not in told


def test_a_time_may_be_a_sum(tmp_path: Path) -> None:
    include = {"name": "proven.go_service.pull", "tasks_from": "validate"}
    times = ("90", "30min", "1h 30min", "1h30min", "1.5h")
    tasks = [{"ansible.builtin.include_role": include, "vars": {"pull_every": time, "pull_spread": "0"}} for time in times]
    code, told = run(tmp_path, tasks)
    assert code == 0, told


def test_what_the_timer_runs_keeps_each_argument_whole(tmp_path: Path) -> None:
    """Whatever the variables hold: the script calls ansible-pull with exactly these words."""
    given = {
        "pull_repository": "https://x/$(touch owned).git",
        "pull_version": "a;b",
        "pull_directory": str(tmp_path / "place"),
        "pull_limit": "dev anna",
        "pull_arguments": ["--vault-password-file=/etc/it's here", "--verify-commit"],
    }
    (tmp_path / "place/current/bin").mkdir(parents=True)
    program = tmp_path / "place/current/bin/ansible-pull"
    program.write_text('#!/bin/sh\npwd\nfor word; do printf "%s\\n" "$word"; done\n')
    program.chmod(0o755)
    template = {"src": f"{PROJECT}/roles/pull/templates/pull.j2", "dest": str(tmp_path / "pull"), "mode": "0700"}
    role = {"ansible.builtin.include_vars": {"file": f"{PROJECT}/roles/pull/vars/main.yml"}}
    defaults = {"ansible.builtin.include_vars": {"file": f"{PROJECT}/roles/pull/defaults/main.yml"}}
    code, told = run(tmp_path, [defaults, role, {"ansible.builtin.template": template}], **given)
    assert code == 0, told
    words = subprocess.run([tmp_path / "pull"], capture_output=True, text=True, check=True, cwd="/").stdout.splitlines()
    place = given["pull_directory"]
    wanted = ["--url", given["pull_repository"], "--checkout", "a;b", "--directory", f"{place}/checkout", "--clean"]
    wanted += ["--inventory", "inventory/fleet.yml", "--limit", "dev anna", *given["pull_arguments"], "playbooks/provision.yml"]
    assert words == [place, *wanted], shlex.join(words)


# The server asks for what is wanted of it; the machine's own helper knows the password of one user.
@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("me:a%40b%2B+c", {"username=me", "password=a@b++c"}),
        ("me", {"username=me", "password=of the machine"}),
        ("oauth2:a%40b%22", {"username=oauth2", 'password=a@b"'}),
        ("a%40b%22%5C", {'username=a@b"\\', "password="}),
    ],
    ids=["user and password", "user of the machine", "token as password", "token as user"],
)
def test_credentials_of_the_repository_are_in_files_alone(before: str, wanted: set[str], tmp_path: Path) -> None:
    """git gets them as the address has them, percent-decoded; neither the arguments nor the environment hold them."""
    given = {"pull_repository": f"https://{before}@git.example.com:8443/fleet.git", "pull_directory": str(tmp_path / "place")}
    (tmp_path / "place/current/bin").mkdir(parents=True)
    program = tmp_path / "place/current/bin/ansible-pull"
    asked = "protocol=https\\nhost=git.example.com:8443\\n\\n"
    program.write_text(f"#!/bin/sh\nenv; echo \"$@\"; printf '{asked}' | git credential fill >'{tmp_path}/told'\n")
    program.chmod(0o755)
    of_the_machine = "helper = \"!f() { grep -qx username=me && echo 'password=of the machine'; }; f\""
    (tmp_path / ".gitconfig").write_text(f"[credential]\n{of_the_machine}\n", encoding="utf-8")
    vars_files = [{"ansible.builtin.include_vars": {"file": f"{PROJECT}/roles/pull/{name}/main.yml"}} for name in ("defaults", "vars")]
    files = {"pull": tmp_path / "pull", **{name: tmp_path / "place" / name for name in ("credentials", "gitconfig")}}
    written = [
        {"ansible.builtin.template": {"src": f"{PROJECT}/roles/pull/templates/{name}.j2", "dest": str(place), "mode": "0700"}}
        for name, place in files.items()
    ]
    code, told = run(tmp_path, [*vars_files, *written], **given)
    assert code == 0, told
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"}
    shown = subprocess.run([tmp_path / "pull"], capture_output=True, text=True, check=True, env=environment).stdout
    assert "--url https://git.example.com:8443/fleet.git" in shown
    assert "a%40b" not in shown
    assert "a@b" not in shown
    assert wanted <= set((tmp_path / "told").read_text(encoding="utf-8").splitlines())
