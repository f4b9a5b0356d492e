"""What is told of proxies that the docker command would set in a container."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy.proxies import unasked_proxies


@pytest.mark.parametrize(
    ("config", "env", "told"),
    [
        ({"proxies": {"default": {"httpProxy": "http://user:word@proxy:3128", "noProxy": "localhost"}}}, {}, "(HTTP_PROXY)"),
        ({"proxies": {"tcp://x:2376": {"httpsProxy": "http://proxy:3128"}}}, {}, "(HTTPS_PROXY)"),
        ({"proxies": {"default": {"httpProxy": "http://proxy:3128"}}}, {"http_proxy": ""}, ""),
        ({"proxies": {"default": {"httpProxy": ""}}}, {}, ""),
        ({"proxies": []}, {}, ""),
        ({}, {}, ""),
        (None, {}, ""),
    ],
)
def test_proxies(settings: Callable[..., Any], tmp_path: Path, config: Any, env: dict[str, str], told: str) -> None:
    """The value, which may hold a password, is not shown."""
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    found = unasked_proxies(settings(env=env), {"DOCKER_CONFIG": str(tmp_path)})
    assert (told in found if told else found == "", "word" in found) == (True, False)
