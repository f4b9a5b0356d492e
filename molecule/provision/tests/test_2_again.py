"""What further runs do on machines that are ready: nothing, or what was asked for, and no service stops for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from provision_tools import changed, provision


def containers(machine) -> dict[str, str]:
    """Return when each container of the machine was started, by its id."""
    lines = machine.run("docker ps --quiet --no-trunc | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}}'").splitlines()
    return dict(line.split() for line in lines)


@pytest.fixture
def same_containers(machine):
    """The containers run on through the test."""
    before = containers(machine)
    assert before
    yield
    assert containers(machine) == before


def test_the_other_way_of_pipelining_changes_nothing_and_ends_with_a_report(machine_name: str, wanted, same_containers) -> None:
    told = provision(machine_name, ansible_pipelining=machine_name == "debian13")
    assert changed(told) == 0
    report = told.partition(f'"About {machine_name}"')[2]
    for words in [*wanted["reported"], "brought up by this role", "Control groups: version", "Confined by:", "GB free"]:
        assert words in report


def test_a_mirror_that_is_asked_for_later_is_taken_over_without_a_restart(machine, machine_name: str, same_containers) -> None:
    pid = machine.run("cat /run/docker.pid")
    mirrors = ["https://later.invalid"]
    assert changed(provision(machine_name, docker_engine_registry_mirrors=mirrors)) > 0
    assert "https://later.invalid/" in json.loads(machine.run("docker info --format '{{json .RegistryConfig.Mirrors}}'"))
    assert machine.run("cat /run/docker.pid") == pid
    assert changed(provision(machine_name, docker_engine_registry_mirrors=mirrors)) == 0


def test_a_setting_that_needs_a_restart_keeps_the_containers(machine, machine_name: str, same_containers) -> None:
    pid = machine.run("cat /run/docker.pid")
    assert changed(provision(machine_name, docker_engine_log_max_file=6)) > 0
    assert json.loads(machine.run("cat /etc/docker/daemon.json"))["log-opts"]["max-file"] == "6"
    assert machine.run("cat /run/docker.pid") != pid
    # Back to what the inventory says; where it says nothing the setting stays.
    provision(machine_name)
    assert changed(provision(machine_name)) == 0


def test_settings_that_the_daemon_does_not_start_with_are_taken_back(machine, machine_name: str) -> None:
    before = machine.run("cat /etc/docker/daemon.json")
    told = provision(
        machine_name, succeeds=False, docker_engine_daemon_options={"storage-driver": "nonsense"}, docker_engine_start_timeout=5
    )
    assert "nonsense" in told
    assert machine.run("cat /etc/docker/daemon.json") == before
    assert machine.get("/", "127.0.0.1", 8082).status == 200
    # The daemon was away for some seconds: a run sees to what that did to the services, if anything.
    provision(machine_name)
    assert changed(provision(machine_name)) == 0


def test_an_engine_that_ended_and_gets_settings_with_which_it_does_not_start_serves_with_the_earlier_ones(
    machine, machine_name: str
) -> None:
    before = machine.run("cat /etc/docker/daemon.json")
    machine.run("systemctl stop docker.socket docker.service")
    told = provision(
        machine_name, succeeds=False, docker_engine_daemon_options={"storage-driver": "nonsense"}, docker_engine_start_timeout=5
    )
    assert "nonsense" in told and "The earlier settings are back, and the engine runs with them." in told
    assert machine.run("cat /etc/docker/daemon.json") == before
    assert machine.run("systemctl is-active docker.service") == "active"
    provision(machine_name)
    assert changed(provision(machine_name)) == 0


def test_values_that_no_daemon_could_take_are_refused_before_anything(machine_name: str) -> None:
    told = provision(machine_name, succeeds=False, docker_engine_log_max_size="much", docker_engine_registry_mirrors=["mirror"])
    assert "docker_engine_log_max_size is 'much'" in told
    assert "docker_engine_registry_mirrors holds 'mirror'" in told
    assert "Ask for the engine" not in told


def test_an_engine_that_others_have_set_up_keeps_its_settings(machine, machine_name: str, same_containers) -> None:
    before = machine.run("cat /etc/docker/daemon.json")
    machine.run("mv /etc/docker/go-service.json /root/kept.json")
    try:
        told = provision(machine_name, docker_engine_registry_mirrors=["https://another.invalid"])
    finally:
        machine.run("mv /root/kept.json /etc/docker/go-service.json")
    assert changed(told) == 0
    assert "was not set up by this role, and keeps its settings. Not as asked for: registry-mirrors" in told
    assert "which was there already" in told
    assert machine.run("cat /etc/docker/daemon.json") == before


def test_another_source_installs_nothing_over_an_engine_that_serves(machine, machine_name: str, wanted, same_containers) -> None:
    if wanted["package"] == "docker-ce":
        given: dict[str, Any] = {"docker_engine_version": "99.0.0"}
        words = "docker_engine_version is 99.0.0, but Engine 26.1.5"
    else:
        given = {"docker_engine_source": "docker"}
        words = "docker_engine_source is docker, but the running Engine comes from docker.io"
    told = provision(machine_name, **given)
    assert changed(told) == 0
    assert words in told
    assert "It is kept" in told
