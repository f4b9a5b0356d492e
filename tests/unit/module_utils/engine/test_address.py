"""Where the Engine is found, held against the docker command, and whether it answers there: by socket, TLS and ssh, by contexts, or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import address
from engines import Module, docker

# Which address


@pytest.mark.parametrize(
    ("settings", "current"),
    [
        ({}, ""),
        ({"HOST": "unix:///tmp/utest-host.sock"}, ""),
        ({"CONTEXT": "one"}, ""),
        ({"CONTEXT": "default"}, "two"),
        ({}, "two"),
        ({}, "default"),
        ({"CONTEXT": "one"}, "two"),
        ({"CONTEXT": ""}, "two"),
        ({"HOST": "unix:///tmp/utest-host.sock", "CONTEXT": "one"}, "two"),
        ({"HOST": ""}, "two"),
    ],
)
def test_the_docker_command_asks_there_too(
    context: Callable[[str, str], None], config: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str], current: str
) -> None:
    context("one", "host=unix:///tmp/utest-one.sock")
    context("two", "host=unix:///tmp/utest-two.sock")
    if current:
        (config / "config.json").write_text(json.dumps({"currentContext": current}))
    for name, value in settings.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)
    found = address.find()
    if found.docker_host == address.DEFAULT:
        assert "utest" not in docker("version").stderr
    else:
        assert f" at {found.docker_host}. " in docker("version").stderr
    assert address.find("unix:///tmp/utest-option.sock").docker_host == "unix:///tmp/utest-option.sock"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"docker_host": address.DEFAULT, "tls": False, "validate_certs": False}),
        ({"HOST": "unix://"}, {"docker_host": address.DEFAULT, "tls": False, "validate_certs": False}),
        ({"HOST": "unix:///x", "TLS_VERIFY": "1"}, {"docker_host": "unix:///x", "tls": False, "validate_certs": False}),
        ({"HOST": "ssh://dev@h:22", "TLS_VERIFY": "1"}, {"docker_host": "ssh://dev@h:22", "tls": False, "validate_certs": False}),
        ({"HOST": "tcp://h:1"}, {"docker_host": "tcp://h:1", "tls": False, "validate_certs": False}),
        ({"HOST": "tcp://h:1", "TLS_VERIFY": ""}, {"docker_host": "tcp://h:1", "tls": False, "validate_certs": False}),
        ({"HOST": "tcp://h:1", "TLS": "1"}, {"docker_host": "tcp://h:1", "tls": True, "validate_certs": False}),
        (
            {"HOST": "tcp://h:1", "TLS_VERIFY": "1", "TLS_HOSTNAME": "e"},
            {"docker_host": "tcp://h:1", "tls": True, "validate_certs": True, "tls_hostname": "e"},
        ),
    ],
)
def test_the_environment(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str], expected: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)
    assert address.find().options == expected


def test_a_key_without_its_certificate_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"HOST": "tcp://h:1", "TLS_VERIFY": "1", "CERT_PATH": str(tmp_path)}.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)
    for name in ("ca.pem", "key.pem"):
        (tmp_path / name).touch()
    assert (address.find().ca, address.find().cert, address.find().key) == (str(tmp_path / "ca.pem"), "", "")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda config, meta: meta.unlink(), "there is no docker context one, chosen by currentContext"),
        (lambda config, meta: meta.write_text("{"), "the docker context one, .*cannot be read"),
        (lambda config, meta: meta.write_text('{"Endpoints": {}}'), "the docker context one, .*cannot be read"),
        (lambda config, meta: (config / "config.json").write_text("{"), r"config\.json cannot be read"),
        (lambda config, meta: (config / "config.json").write_text("[]"), r"config\.json cannot be read"),
    ],
)
def test_a_context_that_cannot_be_read_is_no_reason_to_ask_another_engine(
    *, context: Callable[[str, str], None], config: Path, module: Module, tmp_path: Path, broken: Callable[[Path, Path], object], words: str
) -> None:
    context("one", "host=unix:///tmp/utest-one.sock")
    (config / "config.json").write_text('{"currentContext": "one"}')
    broken(config, next(config.glob("contexts/meta/*/meta.json")))
    found = module("engine_info", tmp_path)
    assert (found["status"], found["docker_host"], found["connection"]) == ("unusable", "", {})
    assert re.search(words, found["message"])


# Nobody there, or nobody who can be spoken to


# Every way there


# The builder builds where the other modules look
