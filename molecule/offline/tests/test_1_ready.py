"""What provision.yml has made of machines without a network, by a bundle alone."""

from __future__ import annotations

import json

import pytest

SERVICES = ["offline-cat", "offline-prices"]


def test_there_is_no_way_out(machine) -> None:
    """But to the containers of the machine itself."""
    routes = json.loads(machine.run("ip -json route"))
    assert {route["dev"] for route in routes} <= {"docker0"} and not [route for route in routes if route["dst"] == "default"]
    assert {link["ifname"] for link in json.loads(machine.run("ip -json link")) if not link["ifname"].startswith("veth")} <= {
        "lo",
        "docker0",
    }


def test_it_answers(machine, each_answers) -> None:
    path, (port, words) = each_answers
    response = machine.get(path, "127.0.0.1", port)
    assert response.status == 200 and words in response.body, response


def test_the_engine_is_of_the_bundle_and_nothing_is_left_of_the_way(machine) -> None:
    """apt knows no more of the packages than before: neither a source nor a list."""
    assert machine.run("dpkg-query --show --showformat '${Status}' docker.io") == "install ok installed"
    assert machine.run("find /var/tmp /etc/apt -name 'go-service*'") == ""
    assert machine.run("find /var/lib/apt/lists -type f ! -name lock") == ""
    assert "bundle" not in machine.run("cat /etc/apt/sources.list")


@pytest.mark.parametrize("name", SERVICES)
def test_the_image_is_the_one_that_was_proven_or_was_built_here(machine, name: str) -> None:
    """Of the service that was received no builder's stage is there."""
    stages = machine.run(f"docker images --all --quiet --filter label=go-service.kind=builder --filter label=go-service.name={name}")
    assert bool(stages) == (name == "offline-prices")
