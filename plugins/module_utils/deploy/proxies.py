"""Proxies from the configuration of the docker command, which that command would give to containers, and the role does not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from ..common.settings import Settings
from ..engine.address import folder

# The name of each proxy in the configuration, and the variable that the docker command sets for it.
_VARIABLES = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "ftpProxy": "FTP_PROXY", "allProxy": "ALL_PROXY"}


def of_builds(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that the docker command's configuration gives to builds, in upper and in lower case; environment: as below."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        proxies = json.loads((folder(environment) / "config.json").read_text(encoding="utf-8")).get("proxies") or {}
        variables = {**_VARIABLES, "noProxy": "NO_PROXY"}
        named = {variables[key]: str(value) for key, value in (proxies.get("default") or {}).items() if value and key in variables}
        return {**{name.lower(): value for name, value in named.items()}, **named}
    return {}


def unasked_proxies(settings: Settings, environment: Mapping[str, str] | None = None) -> str:
    """Return the message about proxies that config.json of the docker command names and go_service_env does not, "" if there are none.

    `docker run` would set them in the container. What the role runs does not depend on who runs it. environment: variables instead of this process's own.
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
        f"{config} names a proxy, which docker run would set in a container ({', '.join(missing)}); the service does not get it. If the service needs it, "
        "set it in go_service_env. Builds use it anyway."
    )
