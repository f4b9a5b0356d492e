"""What provision.yml has made of each machine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def engine(machine) -> dict[str, Any]:
    """What the Engine says about itself."""
    return json.loads(machine.run("docker info --format '{{json .}}'"))


def test_the_engine_is_the_one_that_was_asked_for(host, engine, wanted) -> None:
    assert engine["ServerVersion"].startswith(wanted["engine"])
    assert host.package(wanted["package"]).is_installed


def test_the_engine_is_started_now_and_after_a_restart_of_the_machine(host) -> None:
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled


def test_each_service_answers(machine, wanted) -> None:
    for port, path in wanted["answers"].items():
        response = machine.get(path, "127.0.0.1", port)
        assert response.status == 200, (port, response)


def test_the_user_of_the_play_may_use_the_engine_without_sudo(machine) -> None:
    assert machine.run("su - dev -c 'docker ps --format {{.Names}}'").split()


def test_the_daemon_has_the_settings_that_were_asked_for(machine, engine, wanted) -> None:
    registries = engine["RegistryConfig"]
    assert (registries["Mirrors"] or []) == wanted["mirrors"]
    assert [name for name, one in registries["IndexConfigs"].items() if not one["Secure"]] == wanted["insecure"]
    assert (engine["Labels"] or []) == wanted["labels"]
    assert engine["LiveRestoreEnabled"] is True
    settings = json.loads(machine.run("cat /etc/docker/daemon.json"))
    assert settings["log-opts"] == wanted["log_options"]
    made = machine.run("docker create stand-in/runtime:alpine-3.23.6 true")
    assert machine.inspect("container", made)["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": wanted["log_options"]}
    machine.run("docker rm %s", made)


def test_the_daemon_has_its_proxies_and_nobody_else_their_password(host, machine, engine, wanted) -> None:
    assert engine["HttpsProxy"].rpartition("@")[2].removeprefix("http://") == wanted["https_proxy"]
    assert engine["NoProxy"] == wanted["no_proxy"]
    if wanted["https_proxy"]:
        environment = machine.run("tr '\\0' '\\n' </proc/$(cat /run/docker.pid)/environ")
        assert f"HTTPS_PROXY=http://me:s3cret@{wanted['https_proxy']}" in environment.splitlines()
        assert host.file("/etc/docker/go-service-proxies.env").mode == 0o600
        assert "s3cret" not in machine.run(
            "su - dev -c 'systemctl show docker; cat /etc/systemd/system/docker.service.d/*; cat /etc/docker/daemon.json /etc/docker/go-service.json'"
        )


def test_docker_s_own_packages_are_held_at_the_release_that_was_asked_for(machine, wanted) -> None:
    held = machine.run("apt-mark showhold").split()
    assert held == (["docker-ce", "docker-ce-cli"] if wanted["package"] == "docker-ce" else [])


def test_check_mode_said_what_would_happen_on_a_bare_machine(wanted) -> None:
    """The log of Ansible begins with the machines' first run, which was in check mode."""
    log = re.sub(r"\s+", " ", Path(os.environ["ANSIBLE_LOG_PATH"]).read_text(encoding="utf-8"))
    first = log[log.index("Would install") :].partition("PLAY RECAP")[0]
    for words in (f"Would install {wanted['package']}", "Would start the engine.", "Would add dev to the group docker."):
        assert words in first
