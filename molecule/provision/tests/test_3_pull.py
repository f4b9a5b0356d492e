"""A machine that brings itself up to date from a repository, by its timer alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import testinfra
from provision_tools import provision

# A run takes its time on a machine with other work, in seconds.
LONG = 900


@pytest.fixture(autouse=True)
def of_the_puller(machine_name: str) -> None:
    """Only one of the machines pulls."""
    if machine_name != "puller":
        pytest.skip("does not pull")


@pytest.fixture(scope="module")
def depot():
    """The machine that serves the repository."""
    labels = [f"label=go-service-test.checkout={os.environ['MOLECULE_PROJECT_DIRECTORY']}", "label=go-service-test.depot=provision"]
    command = ["docker", "ps", "--format", "{{.Names}}", *(part for label in labels for part in ("--filter", label))]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return testinfra.get_host(f"docker://{name}")


def push(depot, edit: str) -> None:
    """Edit the fleet's repository and publish it."""
    depot.check_output(f"cd /srv/fleet && {edit} && git commit --quiet --all --message edit && git push --quiet origin main")


def greeting(machine) -> str:
    """Return the environment of the service that runs."""
    return machine.run("docker inspect --format '{{json .Config.Env}}' canary")


def test_the_timer_is_there_for_good(host) -> None:
    assert host.service("go-service-pull.timer").is_running
    assert host.service("go-service-pull.timer").is_enabled
    assert host.file("/var/lib/go-service-pull/pull").mode == 0o700


def test_an_edit_of_the_repository_reaches_the_machine_by_itself(machine, depot, wait_until: Callable[..., Any]) -> None:
    """Nothing is done to the machine but to let its timer come sooner."""
    provision("puller", pull_every="20s")
    push(depot, "sed -i 's/SECRET: [a-z0-9]*/SECRET: refrain/' inventory/fleet.yml")
    found = wait_until(lambda: greeting(machine), lambda text: "SECRET=refrain" in text, LONG)
    assert "SECRET=refrain" in found, machine.run("journalctl -u go-service-pull.service --no-pager -o cat | tail -n 60")
    # The container is made before it takes the old one's place.
    assert wait_until(lambda: machine.get("/", "127.0.0.1", 8082).status, lambda status: status == 200, 60) == 200


def test_a_run_without_an_edit_changes_nothing(machine) -> None:
    # The run that brought the edit goes on for a while, and a start would only wait for its end.
    machine.run("systemctl start go-service-pull.service")
    before = machine.run("docker inspect --format '{{.Id}} {{.State.StartedAt}}' canary")
    machine.run("systemctl start go-service-pull.service")
    assert machine.run("docker inspect --format '{{.Id}} {{.State.StartedAt}}' canary") == before
    log = machine.run("journalctl -u go-service-pull.service --no-pager -o cat | tail -n 20")
    assert "0 changed" in log


def test_an_edit_that_fails_leaves_the_service_and_a_failed_unit(machine, depot, wait_until: Callable[..., Any]) -> None:
    push(depot, "sed -i 's/publish: \"127.0.0.1:8082\"/publish: nowhere/' inventory/fleet.yml")

    def result() -> str:
        return machine.run("systemctl show --property=Result --value go-service-pull.service").strip()

    assert wait_until(result, lambda found: found == "exit-code", LONG) == "exit-code"
    assert machine.get("/", "127.0.0.1", 8082).status == 200
    push(depot, "sed -i 's/publish: nowhere/publish: \"127.0.0.1:8082\"/' inventory/fleet.yml")


def test_taken_out_of_the_variables_it_is_taken_away(host, machine, wait_until: Callable[..., Any]) -> None:
    """With all its files. A pull that is at work goes on to its end first."""
    provision("puller", pull_repository="")

    def left() -> str:
        return machine.run("ls -d /etc/systemd/system/go-service-pull.* /var/lib/go-service-pull 2>/dev/null || true").strip()

    assert wait_until(left, lambda found: found == "", LONG) == ""
    assert not host.service("go-service-pull.timer").is_running
