"""What a machine has of an Engine in another form is respected: nothing is installed over it. Runs last, since it takes the Engine of one machine away."""

from __future__ import annotations

import pytest
from provision_tools import changed, provision


@pytest.fixture(autouse=True)
def of_docker(machine_name: str) -> None:
    """One machine has Docker's packages."""
    if machine_name != "puller":
        pytest.skip("has the distribution's Engine")


def test_docker_s_engine_that_is_stopped_is_started_and_not_replaced(host, machine) -> None:
    machine.run("systemctl disable --now docker.socket docker.service")
    told = provision("puller", docker_engine_source="distribution", docker_engine_version="", pull_repository="")
    assert "Install the packages]" not in told
    assert not host.package("docker.io").is_installed
    assert host.service("docker").is_running
    assert machine.get("/", "127.0.0.1", 8082).status == 200


def test_the_distributions_engine_is_not_installed_over_what_is_left_of_docker_s(host, machine) -> None:
    """First its client, then its containerd alone."""
    machine.run("apt-get purge -y --allow-change-held-packages docker-ce")
    told = provision("puller", succeeds=False, docker_engine_source="distribution", docker_engine_version="", pull_repository="")
    assert "comes from the package docker-ce-cli" in told
    machine.run("apt-get purge -y --allow-change-held-packages docker-ce-cli docker-buildx-plugin")
    told = provision("puller", succeeds=False, docker_engine_source="distribution", docker_engine_version="", pull_repository="")
    assert "They would remove containerd.io" in told
    assert "Nothing was installed" in told
    assert host.package("containerd.io").is_installed
    assert not host.package("docker.io").is_installed


def test_docker_s_engine_comes_back_with_what_it_had(machine) -> None:
    told = provision("puller", pull_repository="")
    assert changed(told) > 0
    assert machine.run("docker info --format '{{.ServerVersion}}'").startswith("26.1.5")
    assert machine.get("/", "127.0.0.1", 8082).status == 200


def test_a_release_that_the_repository_does_not_have_is_told(machine) -> None:
    machine.run("apt-get purge -y --allow-change-held-packages docker-ce docker-ce-cli")
    told = provision("puller", succeeds=False, docker_engine_version="1.2.3", pull_repository="")
    assert "docker-ce=5:1.2.3-*" in told
    assert "http://depot/linux/debian (docker_engine_repository), suite trixie" in told
