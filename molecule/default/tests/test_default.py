"""What is special to the scenario `default`: bare machines, of two Debian releases, that the role has made ready."""

from __future__ import annotations

import json

import pytest

ENGINES = {"12": "20.10.", "13": "26.1."}


@pytest.fixture(scope="module")
def engine(machine) -> dict:
    """What the inner Engine says about itself."""
    return json.loads(machine.run("docker info --format '{{json .}}'"))


def test_engine_is_the_distributions(host, engine) -> None:
    """The role has installed the Engine of the machine's release."""
    assert engine["ServerVersion"].startswith(ENGINES[host.system_info.release.split(".")[0]])


def test_engine_is_a_service(host) -> None:
    """systemd has started the Engine, and will again after a restart of the machine."""
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_engine_settings(engine) -> None:
    """Containers outlive the daemon, and logs are rotated, also for containers that the project does not start."""
    assert engine["LiveRestoreEnabled"] is True
    assert engine["LoggingDriver"] == "json-file"


def test_engine_log_rotation(host) -> None:
    """The daemon's own default limits the size of a log."""
    options = json.loads(host.file("/etc/docker/daemon.json").content_string)["log-opts"]
    assert options["max-size"]
    assert int(options["max-file"]) > 0


def test_base_images_were_loaded(host) -> None:
    """The base images came from the archives: no machine has had to install pip to put together its own."""
    assert not host.package("python3-pip").is_installed


def test_health_is_json(machine, expected) -> None:
    """/health says how the service is, and since when."""
    response = machine.get("/health", expected["address"], expected["host_port"])
    health = json.loads(response.body)
    assert health["status"] == "ok"
    assert health["uptime_seconds"] >= 0
    assert response.headers["Content-Type"].startswith("application/json")


def test_listing_and_file_agree(machine, expected) -> None:
    """The size that /ls tells of a file is the size that /cat gives."""
    listing = json.loads(machine.get("/ls", expected["address"], expected["host_port"]).body)
    sizes = {entry["name"]: entry["size"] for entry in listing["entries"]}
    text = machine.get("/cat/hello.txt", expected["address"], expected["host_port"]).body
    assert sizes["hello.txt"] == len(text.encode())


def test_one_source_is_one_binary(every_machine, machine) -> None:
    """Built on two hosts by two Engines, the binary is the same to the last byte."""
    command = "docker exec cat-server sha256sum /usr/local/bin/cat-server"
    sums = {name: other.run(command) for name, other in every_machine.items()}
    assert len(sums) == len(ENGINES)
    assert set(sums.values()) == {machine.run(command)}
