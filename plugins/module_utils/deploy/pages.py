"""Which page a service has for its health, if it has none at the path that the health check requests."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..engine.client import Engine
from ..engine.records import health_test

# Usual paths of that page, and last one that nearly all services have.
PATHS = (
    *("/health", "/healthz", "/livez", "/readyz", "/ready", "/-/healthy", "/_healthz", "/health/live", "/api/health", "/api/v1/health"),
    *("/.well-known/alive", "/status", "/ping", "/version", "/metrics", "/"),
)
# How long to look, in seconds.
SECONDS = 6.0
# What BusyBox's and GNU's wget print for an answer that means: not found, not allowed, wrong method.
_NO_PAGE = re.compile(r"HTTP/\d\S* 40[0-5]\b|\bERROR 40[0-5]\b")


def page_instead(engine: Engine, container: Mapping[str, Any], tests: str) -> str:
    """Return a path at which a running service passes its health check, "" if none is found or if the path is not the cause.

    tests: what its health checks printed. The requests are made with the command of the health check itself, with another path.
    """
    command = health_test(container) or [""]
    asked = urlsplit(command[-1])
    if asked.scheme not in ("http", "https") or not _NO_PAGE.search(tests):
        return ""
    deadline = time.monotonic() + SECONDS
    for path in PATHS:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        if path != asked.path and engine.run_in(container["Id"], [*command[:-1], f"{asked.scheme}://{asked.netloc}{path}"], left)[0] == 0:
            return path
    return ""
