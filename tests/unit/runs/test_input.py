"""Wrong input through ansible-playbook: one play, a host for each mistake.

The hosts have no Python, so that any module run on one of them fails with another message: what is refused here is refused before
anything on a host is touched. On the controller there is nothing to be seen of a run either but its report.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import ansible_playbook, environment

MAIN = "package main\n\nfunc main() {}\n"
MOD = "module example.com/app\n\ngo 1.22\n"
SOURCES: dict[str, dict[str, str]] = {
    "good": {"go.mod": MOD, "main.go": MAIN},
    "no-module": {"main.go": MAIN},
    "ambiguous": {"go.mod": MOD, "cmd/api/main.go": MAIN, "cmd/worker/main.go": MAIN},
    "library": {"go.mod": MOD, "lib/lib.go": "package lib\n", "main.go": MAIN},
    "too-new": {"go.mod": "module example.com/app\n\ngo 1.99\n", "main.go": MAIN},
    "secret": {
        "go.mod": MOD,
        "main.go": 'package main\n\nimport _ "embed"\n\n//go:embed tls.key\nvar key string\n\nfunc main() {}\n',
        "tls.key": "x",
    },
    "leaving": {"go.mod": MOD, "main.go": MAIN},
    "large": {"go.mod": MOD, "main.go": MAIN, "dump.sql": "x" * 20_000},
}
# Mistake -> (variables, words of the message).
MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown name": (
        {"go_service_prot": 1},
        [
            "go_service_prot is not a variable of the role go_service (did you mean go_service_port?)",
            "Correct or remove it",
            "Nothing that ran before was touched",
        ],
    ),
    "several values": (
        {"go_service_port": 0, "go_service_user": "app\nUSER root", "go_service_health_interval": "30", "go_service_pid_limit": 1},
        [
            "go_service_port is 0, which is out of range; a whole number from 1 to 65535 is allowed",
            "go_service_user is 'app\\nUSER root', which has a line break or a control character in it",
            "go_service_health_interval is '30', which is not a duration",
            "did you mean go_service_pids_limit?",
        ],
    ),
    "a template that gives nonsense": ({"go_service_memory": "{{ 'much' }}"}, ["go_service_memory is 'much', which is not a size"]),
    "a choice that is none": ({"go_service_builder": "kaniko"}, ["go_service_builder", "docker_image, buildx", "kaniko"]),
    "a waiver of no check": (
        {"go_service_waivers": {"file-setuid": "because"}},
        [
            "go_service_waivers names the check 'file-setuid', which does not exist (did you mean files-setuid?)",
            "Nothing that ran before was touched",
        ],
    ),
    "a pattern that keeps all out": (
        {"go_service_source": "{{ sources }}/good", "go_service_dockerignore": ["*"]},
        ["excludes files that the build needs: go.mod, the main package (*.go)", "go_service_dockerignore", '"!go.mod", "!*.go"'],
    ),
    "a pattern that keeps the main package out": (
        {"go_service_source": "{{ sources }}/ambiguous", "go_service_main_package": "cmd/api", "go_service_dockerignore": ["/cmd"]},
        ["excludes files that the build needs: the main package (cmd/api/*.go)", "go_service_dockerignore", '"!cmd/api/*.go"'],
    ),
    "another kind": ({"go_service_args": {"a": 1}}, ["go_service_args", "list"]),
    "no such source": ({"go_service_source": "nowhere"}, ["no such directory: ", "/nowhere", "Set go_service_source to the directory"]),
    "no go.mod": ({"go_service_source": "{{ sources }}/no-module"}, ["go.mod", "go mod init", "go_service_source"]),
    "several main packages": ({"go_service_source": "{{ sources }}/ambiguous"}, ["./cmd/api, ./cmd/worker", "go_service_main_package"]),
    "no such main package": (
        {"go_service_source": "{{ sources }}/ambiguous", "go_service_main_package": "cmd/web"},
        ["'cmd/web'", "no such directory", "./cmd/api", "go_service_main_package"],
    ),
    "a package that is not main": (
        {"go_service_source": "{{ sources }}/library", "go_service_main_package": "./lib"},
        ["package lib, not package main", "go_service_main_package"],
    ),
    "a Go too new for the builder": ({"go_service_source": "{{ sources }}/too-new"}, ["1.99", "1.27", "go_service_builder_image"]),
    "an embedded credential": (
        {"go_service_source": "{{ sources }}/secret"},
        ["tls.key", "looks like a credential", 'go_service_dockerignore: ["!tls.key"]'],
    ),
    "a link that leaves the source": ({"go_service_source": "{{ sources }}/leaving"}, ["link", "/etc/hostname", "outside of the source"]),
    "a context too large": (
        {"go_service_source": "{{ sources }}/large", "go_service_context_limit_mb": 0.01},
        ["over the limit of 0.01 MB", "dump.sql 20.0 kB", "go_service_context_limit_mb"],
    ),
    "an invalid pattern": (
        {"go_service_source": "{{ sources }}/good", "go_service_dockerignore": ["[z-a]"]},
        ["'[z-a]' is not valid", "go_service_dockerignore"],
    ),
}
PLAY = """
- hosts: mistakes
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.include_role:
            name: proven.go_service.go_service
      rescue:
        - ansible.builtin.set_fact:
            told: "{{ ansible_failed_result.msg }}"
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ groups.mistakes | zip(groups.mistakes | map('extract', hostvars, 'told')) | community.general.dict | to_json }}"
        dest: "{{ answers }}"
        mode: "0644"
"""


@pytest.fixture(scope="module")
def told(role: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Play all mistakes and return what is told by mistake, with "touched": the files that appeared."""
    top = tmp_path_factory.mktemp("input")
    for source, files in SOURCES.items():
        for path, content in files.items():
            (top / "sources" / source / path).parent.mkdir(parents=True, exist_ok=True)
            (top / "sources" / source / path).write_text(content)
    (top / "sources/leaving/link").symlink_to("/etc/hostname")
    local = {"ansible_connection": "local"}
    everywhere = {
        "sources": str(top / "sources"),
        "answers": str(top / "answers.json"),
        "go_service_work_dir": str(top / "work"),
        "go_service_report_dir": str(top / "reports"),
        "ansible_remote_tmp": str(top / "remote"),
    }
    hosts = {name.replace(" ", "_"): variables for name, (variables, _words) in MISTAKES.items()}
    hosts["no_mistake"] = {"go_service_source": "{{ sources }}/good", "ansible_remote_tmp": str(top / "controller")}
    inventory = {
        "all": {
            "vars": everywhere,
            "hosts": {"localhost": {**local, "ansible_python_interpreter": sys.executable, "ansible_remote_tmp": str(top / "controller")}},
            "children": {"mistakes": {"hosts": hosts, "vars": {**local, "ansible_python_interpreter": "/nonexistent/python"}}},
        }
    }
    (top / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (top / "play.yml").write_text(PLAY)
    (top / "ansible.cfg").touch()
    env = environment(
        ANSIBLE_CONFIG=top / "ansible.cfg",
        ANSIBLE_COLLECTIONS_PATH=role.parents[1] / "collections",
        ANSIBLE_FORKS=str(len(hosts)),
        ANSIBLE_HOME=top / "controller",
        DOCKER_HOST="unix:///nonexistent/docker.sock",
    )
    done = ansible_playbook("-i", top / "inventory.yml", top / "play.yml", cwd=top, env=env)
    assert (top / "answers.json").exists(), done.stdout + done.stderr
    answers = json.loads((top / "answers.json").read_text())
    answers["touched"] = sorted(path.name for path in top.iterdir())
    return answers


# Of every kind that there is: choices, types, ranges, entries, names, templates, and what does not go together.
WRONG: dict[str, Any] = {
    "go_service_builder": "kaniko",
    "go_service_port": "eighty",
    "go_service_args": {"a": 1},
    "go_service_env": {"A-B": "x", "C": ["x"], "D": "right"},
    "go_service_volumes": ["data", "/data:/data", "data:data"],
    "go_service_budget": {"image": 1, "image_mb": "small"},
    "go_service_waivers": {"file-setuid": "because", "files-setuid": ""},
    "go_service_memory": "{{ nowhere }}",
    "go_service_network": "host",
    "go_service_prot": 1,
}
PROBLEMS = [
    "go_service_prot is not a variable of the role",
    "go_service_builder is 'kaniko', which is not one of: docker_image, buildx.",
    "go_service_port is 'eighty', which is a text, not a whole number",
    "go_service_args is a mapping, not a list",
    "go_service_env has the name 'A-B'",
    "go_service_env has 'C' with a value (not shown) that is a list",
    "go_service_volumes has the item 'data', which",
    "go_service_volumes has the item 'data:data', which",
    "go_service_memory cannot be evaluated: 'nowhere' is undefined.",
    "go_service_budget has no budget named 'image'",
    "go_service_budget has 'image_mb' with the value 'small'",
    "go_service_waivers has 'files-setuid' with the value ''",
    "go_service_publish is '127.0.0.1:8080', but a container in the network 'host'",
    "go_service_waivers names the check 'file-setuid'",
]


@pytest.mark.engine
@pytest.mark.parametrize("playbook", ["build", "provision", "rollback", "remove"])
def test_a_playbook_tells_all_problems_at_once_a_line_each(role: Path, engine: Engine, tmp_path: Path, playbook: str) -> None:
    assert engine.api_version, "the role docker_engine, which comes first, has nothing to do"
    top = role.parents[1]
    command = [Path(sys.executable).with_name("ansible-playbook"), top / f"playbooks/{playbook}.yml", "-e", json.dumps(WRONG)]
    settings = environment(ANSIBLE_CONFIG=top / "ansible.cfg", ANSIBLE_HOME=tmp_path)
    done = subprocess.run(command, cwd=top, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    told = [line.split("| ", 1)[1] for line in done.stdout.splitlines() if line.lstrip().startswith("| go_service_")]
    assert [problem for problem in PROBLEMS if not any(line.startswith(problem) for line in told)] == [], done.stdout
    assert len(set(told)) == len(PROBLEMS), told
    assert "argument_spec_data" not in done.stdout


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_remedy(told: Mapping[str, Any], name: str) -> None:
    message = told[name.replace(" ", "_")]
    assert [word for word in MISTAKES[name][1] if word not in message] == [], message


def test_nothing_on_a_host_is_touched(told: Mapping[str, Any]) -> None:
    assert "/nonexistent/python" in told["no_mistake"], "input without a mistake goes on to the host"
    assert not [message for name, message in told.items() if name not in ("no_mistake", "touched") and "/nonexistent" in message]
    assert set(told["touched"]) <= {"ansible.cfg", "answers.json", "controller", "inventory.yml", "play.yml", "reports", "sources"}
