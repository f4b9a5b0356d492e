"""What the last words of a failed service usually mean, and what to do about it."""

from __future__ import annotations

import re

# What the last words of a failed service usually mean. Each line: what to look for, what to do about it.
_REMEDIES = (
    (
        r"read-only file system",
        "The service writes to its own file system, which is read-only. Give it a place: go_service_volumes for data that must stay, "
        "go_service_tmpfs for scratch space (or go_service_read_only: false, which gives the protection up).",
    ),
    (
        r"exec format error",
        "The binary is for another processor than this host's. Leave GOARCH out of go_service_build_env.",
    ),
    (
        r"wget: (?:not found|executable file)|\"wget\": executable file not found",
        "The runtime image has no wget, which the health check runs. Choose a go_service_runtime_image that has BusyBox.",
    ),
    (
        r"(?:connection refused|can't connect)",
        "Nothing listens where the health check asks. Check go_service_port and that the service takes its port from PORT or go_service_args; "
        "a service that listens on IPv4 only may want go_service_health_host: 127.0.0.1.",
    ),
    (
        r"server returned error: http/1\.\d 404|404 not found",
        "The service runs, but has no page at that path. Set go_service_health_path to one it has.",
    ),
    (
        r"server returned error: http/1\.\d (\d+)",
        "The service runs, but answers the health check with an error. Read its log lines, and check go_service_health_path and go_service_env.",
    ),
    (
        r"flag provided but not defined|unknown (?:flag|command)|usage",
        "The service did not understand its arguments. Check go_service_args.",
    ),
    (
        r"permission denied",
        "The service may not read or write something. It runs as go_service_user (number 1000, or go_service_uid) without any capability: check "
        "the owner and mode of what go_service_volumes mounts (a new volume with a name belongs to root), and go_service_cap_add.",
    ),
    (
        r"no such host|lookup .* on ",
        "The service cannot resolve a name it needs. Check go_service_network and go_service_env.",
    ),
)
_CHECK = "heck go_service_args, go_service_env and go_service_volumes, correct the service, run again."


def remedy_for(evidence: list[str], otherwise: str = "") -> str:
    """Return what to do about the last words of a service; otherwise: what to do where they mean nothing known."""
    text = "\n".join(evidence)
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text, re.I):
            return remedy
    if otherwise:
        return otherwise
    return (
        f"Read the log lines above; c{_CHECK}"
        if any(line.startswith("log: ") for line in evidence)
        else f"It wrote no log lines. C{_CHECK}"
    )
