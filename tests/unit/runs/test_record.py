"""A run tells of itself alone: several services in one play share neither report, lock, bill of materials nor time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import LABEL_LOCK
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from small_plays import QUICK, RUNTIME, play, service_image

# Service -> what it has that the others have not. The first one runs; each of the others fails at another stage, and the last two are the first again.
SERVICES: list[tuple[str, dict[str, Any]]] = [
    ("first", {}),
    ("fetch", {"image_tag": "", "source_type": "git", "source": "{{ top }}/none"}),
    ("source", {"image_tag": "", "source": "{{ top }}/none"}),
    ("network", {"network": "utest-none"}),
    ("build", {"image_tag": "", "source": "{{ top }}/source"}),
    ("candidate", {"args": ["exit 3"]}),
    ("contract", {"waivers": {}}),
    ("input", {"port": 0}),
    ("first", {}),
    ("first", {"env": {"A": "b"}}),
]
STAGES = {"fetch": "source", "source": "source", "network": "network", "build": "build", "candidate": "candidate", "contract": "contract"}
ONE = """
- block:
    - ansible.builtin.include_role:
        name: proven.go_service.go_service
      vars:
        go_service_name: "utest-{{ service.0 }}"
        {vars}
  rescue:
    - ansible.builtin.set_fact:
        rescued: true
- ansible.builtin.copy:
    content: "{{ __go_service_record | to_json }}"
    dest: "{{ top }}/record-{{ number }}"
    mode: "0644"
- ansible.builtin.copy:
    src: "{{ top }}/reports/here/utest-{{ service.0 }}.json"
    dest: "{{ top }}/report-{{ number }}"
    mode: "0644"
  when: service.0 != 'input'
"""


@pytest.fixture(scope="module")
def records(
    engine: Engine, client: Callable[..., str], web: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[dict[str, Any]]]:
    """Play all services one after the other on one host; return the record of each, with its report under "written"."""
    assert engine
    top = tmp_path_factory.mktemp("r")
    (top / "source").mkdir()
    (top / "source/go.mod").write_text("module example.com/app\n\ngo 1.22\n")
    (top / "source/main.go").write_text("package main\n\nfunc main() {}\n")
    names = sorted({variable for _name, own in SERVICES for variable in own})
    lines = [f"go_service_{name}: \"{{{{ service.1['{name}'] | default(usual['{name}']) }}}}\"" for name in names]
    (top / "one.yml").write_text(ONE.replace("{vars}", "\n        ".join(lines)))
    usual = {"source": "{{ top }}/source", "source_type": "controller", "network": "bridge", "port": 8080, "env": {}}
    usual.update({name: QUICK[f"go_service_{name}"] for name in ("image_tag", "args", "waivers")})
    for name, _own in SERVICES:
        service_image(client, f"utest-{name}", web)
    loop = {"loop_var": "service", "index_var": "number"}
    tasks = [{"ansible.builtin.include_tasks": "one.yml", "loop": [list(service) for service in SERVICES], "loop_control": loop}]
    done = play(top, tasks, {"here": {}}, {**QUICK, "usual": usual})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    found = [json.loads((top / f"record-{number}").read_text()) for number in range(len(SERVICES))]
    for number, record in enumerate(found):
        written = top / f"report-{number}"
        record["written"] = json.loads(written.read_text()) if written.exists() else None
        record["locks"] = [held["Name"] for name, _own in SERVICES for held in engine.volumes(LABEL_LOCK, f"utest-{name}")]
    yield found
    client("rm", "-fv", "utest-first")
    # Images that are made from another have to go before it.
    client("rmi", "-f", *{f"utest-{name}:1" for name, _own in SERVICES}, "utest-first:latest")


def test_a_service_that_runs_is_recorded(records: list[dict[str, Any]]) -> None:
    first = records[0]
    assert (first["deploy"]["action"], first["failure"], first["written"]["failure"]) == ("created", {}, None)
    assert first["written"]["checks"] and first["written"]["image"]["reference"] == "utest-first:1"


@pytest.mark.parametrize("number", [number for number, (name, _own) in enumerate(SERVICES) if name in STAGES])
def test_a_service_that_fails_shows_nothing_of_the_one_before(records: list[dict[str, Any]], number: int) -> None:
    name = SERVICES[number][0]
    record, report = records[number], records[number]["written"]
    assert record["settings"]["name"] == report["service"] == f"utest-{name}"
    assert record["failure"]["stage"] == report["failure"]["stage"] == STAGES[name]
    others = [other for other, _own in SERVICES if other != name]
    assert not [other for other in others if f"utest-{other}" in json.dumps([record["plan"], record["verify"], record["deploy"], report])]
    judged = name == "contract"
    assert bool(record["verify"]) == bool(report["checks"]) == bool(report["sbom"]) == judged
    assert record["deploy"] == record["build"] == {}
    assert bool(record["plan"].get("lock")) == (name in ("build", "candidate", "contract"))
    assert (report["deploy"], bool(report["image"])) == (None, judged)
    assert "swap" not in [stage["stage"] for stage in report["timeline"]]


def test_each_run_has_a_lock_of_its_own_and_none_is_left(records: list[dict[str, Any]]) -> None:
    tokens = [record["plan"]["lock"] for record in records if record["plan"].get("lock")]
    assert len(tokens) > 3
    assert records[-1]["locks"] == []


def test_the_same_service_again_finds_nothing_to_do_and_then_its_own_change(records: list[dict[str, Any]]) -> None:
    again, changed = records[-2:]
    assert (again["deploy"], again["verify"], again["failure"], again["plan"]["deploy"]) == ({}, {}, {}, [])
    assert (again["written"]["verdict"], again["written"]["failure"]) == (records[0]["written"]["verdict"], None)
    assert (changed["deploy"]["action"], changed["failure"]) == ("replaced", {})
    assert changed["deploy"]["old_id"] == records[0]["deploy"]["container_id"]


# The time and the outcome of a build

BUILD = """
- name: Build
  proven.go_service.build: &build
    builder: docker_image
    tag: "{{ inventory_hostname }}"
    context: "{{ top }}/{{ inventory_hostname }}"
  register: built
- name: Build again
  proven.go_service.build: *build
  register: again
- name: Build in check mode
  proven.go_service.build: {builder: docker_image, tag: checked, context: "{{ top }}/{{ inventory_hostname }}"}
  check_mode: true
  register: checked
- name: Build on the Engine of a connection
  proven.go_service.build:
    <<: &other {builder: docker_image, tag: other, context: "{{ top }}/{{ inventory_hostname }}"}
    connection: {docker_host: "unix:///nonexistent/connection.sock"}
  register: connected
  ignore_errors: true
- name: Build with an environment
  proven.go_service.build: *other
  environment: {DOCKER_HOST: "unix:///nonexistent/environment.sock"}
  register: environs
  ignore_errors: true
- name: Build on another host
  proven.go_service.build: *other
  delegate_to: unreachable
  register: delegated
  ignore_unreachable: true
  vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
- name: Build what fails
  proven.go_service.build: {builder: docker_image, tag: other, context: "{{ top }}/broken"}
  register: broken
  ignore_errors: true
- ansible.builtin.copy:
    content: "{{ {'built': built, 'again': again, 'checked': checked, 'connected': connected, 'environs': environs, 'delegated': delegated,
                  'broken': broken} | to_json }}"
    dest: "{{ top }}/{{ inventory_hostname }}.json"
    mode: "0644"
"""


@pytest.fixture(scope="module")
def builds(engine: Engine, settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Build on two hosts in one linear play, of which one takes five seconds longer; return the results by host."""
    top = tmp_path_factory.mktemp("b")
    for name, command in {"quick": "true", "slow": "sleep 5", "broken": "echo boom >&2; exit 3"}.items():
        (top / name).mkdir()
        (top / name / "Dockerfile").write_text(f"FROM {RUNTIME}\nRUN : {top} && {command}\n")
    hosts = {"quick": {}, "slow": {}}
    tasks = yaml.safe_load(BUILD)
    for task in tasks:
        if "proven.go_service.build" in task:
            task["proven.go_service.build"].update(settings=settings(name="utest-built").as_json(), builder_image=RUNTIME)
    done = play(top, tasks, hosts, {"base": str(top)}, strategy="linear")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert engine.image("utest-built:checked") is None
    return {name: json.loads((top / f"{name}.json").read_text()) for name in hosts}


@pytest.mark.engine
def test_each_host_is_told_its_own_time(builds: Mapping[str, Any]) -> None:
    quick, slow = (builds[name]["built"]["build"]["seconds"] for name in ("quick", "slow"))
    assert slow >= 5 and quick < slow - 3
    assert builds["quick"]["built"]["changed"] and builds["quick"]["built"]["image_id"].startswith("sha256:")
    assert [step["instruction"].split()[0] for step in builds["quick"]["built"]["build"]["steps"]] == ["FROM", "RUN"]


@pytest.mark.engine
def test_a_build_honours_what_ansible_says_of_a_task(builds: Mapping[str, Any]) -> None:
    found = builds["quick"]
    assert not found["again"]["changed"]
    assert (found["checked"]["changed"], found["checked"]["build"]) == (True, {})
    for name, word in {"connected": "nonexistent/connection.sock", "environs": "FileNotFoundError", "broken": "RUN : "}.items():
        assert found[name]["failed"] and found[name]["failure"]["stage"] == "build", name
        assert word in found[name]["msg"] or "No such file" in found[name]["msg"], found[name]["msg"]
        assert "What still runs: Nothing that ran before was touched." in found[name]["msg"]
    assert "Start the Engine" in found["environs"]["failure"]["remedy"]
    assert found["broken"]["failure"]["evidence"] == ["boom"]
    assert found["delegated"]["unreachable"]
