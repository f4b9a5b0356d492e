"""Proxies that the docker command would give to containers, and the role does not: those of its own configuration."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from ..common.settings import Settings
from ..engine.address import folder

# What the configuration calls a proxy, and the variable that the docker command makes of it.
_VARIABLES = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "ftpProxy": "FTP_PROXY", "allProxy": "ALL_PROXY"}


def of_builds(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that the docker command's configuration gives to builds, in both the cases that programs read; environment: as below."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        proxies = json.loads((folder(environment) / "config.json").read_text(encoding="utf-8")).get("proxies") or {}
        variables = {**_VARIABLES, "noProxy": "NO_PROXY"}
        named = {variables[key]: str(value) for key, value in (proxies.get("default") or {}).items() if value and key in variables}
        return {**{name.lower(): value for name, value in named.items()}, **named}
    return {}


def unasked_proxies(settings: Settings, environment: Mapping[str, str] | None = None) -> str:
    """Return what a person is told where config.json of the docker command names proxies that go_service_env does not, "" for nothing.

    `docker run` would set them in the container. What the role runs does not depend on who runs it. environment: variables in place of this process's own.
    """
    config = folder(environment) / "config.json"
    named: set[str] = set()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        proxies = json.loads(config.read_text(encoding="utf-8")).get("proxies") or {}
        named = {_VARIABLES[key] for proxy in proxies.values() for key, value in proxy.items() if value and key in _VARIABLES}
    given = {name.upper() for name in settings.env}
    missing = sorted(named - given)
    if not missing:
        return ""
    return (
        f"{config} names a proxy, which docker run would set in a container ({', '.join(missing)}); the service gets none. Where it needs one, "
        "set it in go_service_env. Builds use it."
    )
