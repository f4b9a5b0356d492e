"""What is asked of the daemon of a Docker Engine: whether it can be, and what becomes of its settings. Knows daemon.json and nothing of Ansible."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# What the role sets where daemon.json and the variables say nothing else.
LOG_DRIVER = "json-file"
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}
LIVE_RESTORE = True
# The drivers that rotate their logs by these two options.
ROTATING = ("json-file", "local")
# Settings that a daemon takes over while it runs (SIGHUP).
RELOADED = frozenset({"debug", "insecure-registries", "labels", "live-restore", "registry-mirrors", "shutdown-timeout"})
# Variables of their own -> where daemon.json has what they say.
KEYS = {
    "live_restore": ("live-restore",),
    "log_max_size": ("log-opts", "max-size"),
    "log_max_file": ("log-opts", "max-file"),
    "registry_mirrors": ("registry-mirrors",),
    "insecure_registries": ("insecure-registries",),
    "proxies": ("proxies",),
}
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# \Z and not $, which lets a newline at the end pass.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_REGISTRY = re.compile(rf"\A(?:{_HOST}|[0-9.]{{7,15}}/[0-9]{{1,2}}|[0-9A-Fa-f:]+/[0-9]{{1,3}})\Z")
_MIRROR = re.compile(rf"\Ahttps?://{_HOST}/?\Z")
_SIZE = re.compile(r"\A[1-9][0-9]*[bkmg]?\Z")
_LINE = re.compile(r"\A[^\s\"'\\$`]+\Z")


def problems(options: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that no daemon could take; options: the role's variables without `docker_engine_`."""
    return list(_problems(options))


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    size, files = options.get("log_max_size"), options.get("log_max_file")
    if size and not _SIZE.match(str(size)):
        yield f"docker_engine_log_max_size is {size!r}: give a size as Docker writes it, such as 10m."
    if files is not None and not 1 <= int(files) <= 1000:
        yield f"docker_engine_log_max_file is {files}: give a number of files from 1 to 1000."
    for mirror in options.get("registry_mirrors") or []:
        if not _MIRROR.match(str(mirror)):
            yield (
                f"docker_engine_registry_mirrors holds {_without_password(str(mirror))!r}: give http:// or https:// with a host,"
                " such as https://mirror.example.com. The daemon takes no path and no user there."
            )
    for registry in options.get("insecure_registries") or []:
        if not _REGISTRY.match(str(registry)):
            yield (
                f"docker_engine_insecure_registries holds {_without_password(str(registry))!r}: give host, host:port or a network,"
                " such as registry.example.com:5000 or 10.0.0.0/8."
            )
    proxies = options.get("proxies") or {}
    for name in proxies:
        if name not in PROXIES:
            yield f"docker_engine_proxies has {name!r}: it knows {', '.join(PROXIES)}."
    for name in ("http_proxy", "https_proxy"):
        value = str(proxies.get(name) or "")
        # The value may hold a password, and is not shown.
        if value and not (_LINE.match(value) and re.match(r"\A(?:https?|socks5h?)://[^/]+/?\Z", value)):
            yield f"docker_engine_proxies.{name} is no address of a proxy: give http://host:port, special characters of a password as %XX."
    if not re.match(r"\A[A-Za-z0-9.,:*/\[\]_-]*\Z", str(proxies.get("no_proxy") or "")):
        yield "docker_engine_proxies.no_proxy is no list of hosts: give them with commas between, such as localhost,.example.com,10.0.0.0/8."
    daemon = options.get("daemon_options") or {}
    for variable, path in KEYS.items():
        if options.get(variable) not in (None, "", [], {}) and _says(daemon, path):
            yield f"docker_engine_{variable} and docker_engine_daemon_options both say {'.'.join(path)}: leave one of them out."


def _says(settings: Mapping[str, Any], path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(settings, Mapping) or key not in settings:
            return False
        settings = settings[key]
    return True


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", text)


@dataclass(frozen=True)
class Outcome:
    """What becomes of daemon.json. settings: the whole of it; changed: the names of what is another; reload: whether the daemon takes all of that
    over while it runs; problem: why it cannot be, empty where it can."""

    settings: dict[str, Any]
    changed: list[str]
    reload: bool
    problem: str


def outcome(current: Mapping[str, Any], options: Mapping[str, Any], bring_up: bool) -> Outcome:
    """Return what becomes of the settings that a daemon has.

    Args:
        current: What its daemon.json holds, {} for none.
        options: The role's variables without `docker_engine_`. None, empty lists and empty texts ask for nothing.
        bring_up: Whether the daemon is about to be started by the role: it gets the role's own settings too, where nobody says anything else.
    """
    new = merged(current, options.get("daemon_options") or {})
    driver = new.get("log-driver", LOG_DRIVER)
    asked_logs = {
        "max-size": str(options["log_max_size"]) if options.get("log_max_size") else None,
        "max-file": str(options["log_max_file"]) if options.get("log_max_file") is not None else None,
    }
    asked_logs = {name: value for name, value in asked_logs.items() if value is not None}
    problem = ""
    if asked_logs and driver not in ROTATING:
        problem = (
            f"docker_engine_log_max_size and docker_engine_log_max_file are options of the log drivers {' and '.join(ROTATING)}, and daemon.json"
            f" or docker_engine_daemon_options says {driver!r}: leave them out, or choose one of these drivers."
        )
    elif asked_logs or (bring_up and driver == LOG_DRIVER):
        own = LOG_OPTIONS if bring_up and driver == LOG_DRIVER else {}
        new = merged(merged({"log-driver": driver, "log-opts": own}, new), {"log-opts": asked_logs})
    if options.get("live_restore") is not None:
        new["live-restore"] = bool(options["live_restore"])
    elif bring_up:
        new.setdefault("live-restore", LIVE_RESTORE)
    for variable in ("registry_mirrors", "insecure_registries"):
        key = KEYS[variable][0]
        if options.get(variable):
            new[key] = list(dict.fromkeys([*(new.get(key) or []), *map(str, options[variable])]))
    changed = sorted(key for key in new if new[key] != current.get(key))
    return Outcome(new, changed, set(changed) <= RELOADED, problem)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one mapping of two, key by key also within; a list of the one above takes the place of the one below."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def proxies_missing(asked: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return the names of the proxies that the daemon does not have as asked; known: what it says of them itself, with each password hidden."""
    return [name for name in PROXIES if asked.get(name) and hidden(str(asked[name])) != hidden(str(known.get(name) or ""))]


def hidden(proxy: str) -> str:
    """Return the address of a proxy as the daemon shows it: without user and password."""
    parts = urlsplit(proxy)
    return proxy.replace(f"{parts.netloc.rpartition('@')[0]}@", "") if "@" in parts.netloc else proxy


def environment(proxies: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment that gives a daemon its proxies; it reads the names in capitals."""
    return {name.upper(): str(proxies[name]) for name in PROXIES if proxies.get(name)}
