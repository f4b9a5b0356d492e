"""The page by which a service tells its health, where it has none at the path that its health check asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..engine.client import Engine
from ..engine.records import health_test

# What services call that page, and last what nearly all of them have.
PATHS = (
    *("/health", "/healthz", "/livez", "/readyz", "/ready", "/-/healthy", "/_healthz", "/health/live", "/api/health", "/api/v1/health"),
    *("/.well-known/alive", "/status", "/ping", "/version", "/metrics", "/"),
)
# How long to look, in seconds.
SECONDS = 6.0
# What BusyBox and GNU's wget print of an answer that says: not here, not for you, not this way.
_NO_PAGE = re.compile(r"HTTP/\d\S* 40[0-5]\b|\bERROR 40[0-5]\b")


def page_instead(engine: Engine, container: Mapping[str, Any], tests: str) -> str:
    """Return a path at which a running service answers its own health check well, "" where none is found, or the path is not what is wrong.

    tests: what its health checks printed. The service is asked by the very command of its health check, with another path.
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
