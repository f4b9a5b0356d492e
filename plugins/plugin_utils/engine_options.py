"""The wanted settings of a Docker daemon: whether they are possible, and what becomes of daemon.json. Knows daemon.json, and nothing of Ansible."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from ..module_utils.common.text import without_passwords

# What the role sets if neither daemon.json nor the variables say something else.
LOG_DRIVER = "json-file"
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}
LIVE_RESTORE = True
# The drivers that rotate their logs by these two options, and all that they alone have (https://docs.docker.com/engine/logging/drivers/).
ROTATING = ("json-file", "local")
OF_ROTATION = frozenset({*LOG_OPTIONS, "compress"})
# Settings that a running daemon can reload (SIGHUP).
RELOADED = frozenset({"debug", "insecure-registries", "labels", "live-restore", "registry-mirrors", "shutdown-timeout"})
# Variables for single settings -> the place of that setting in daemon.json.
KEYS = {
    "live_restore": ("live-restore",),
    "log_max_size": ("log-opts", "max-size"),
    "log_max_file": ("log-opts", "max-file"),
    "registry_mirrors": ("registry-mirrors",),
    "insecure_registries": ("insecure-registries",),
    "proxies": ("proxies",),
}
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# \Z and not $, which would accept a newline at the end.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_REGISTRY = re.compile(rf"\A(?:{_HOST}|[0-9.]{{7,15}}/[0-9]{{1,2}}|[0-9A-Fa-f:]+/[0-9]{{1,3}})\Z")
# Engines before 24.0.8 refuse a path themselves (https://github.com/moby/moby/pull/46594).
_MIRROR = re.compile(rf"\Ahttps?://({_HOST})(?:/[A-Za-z0-9._~%!&()*+,;=:/-]*)?\Z")
_SIZE = re.compile(r"\A[1-9][0-9]*[bkmg]?\Z")
_LINE = re.compile(r"\A[^\s\"'\\$`]+\Z")


def problems(options: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that no daemon could accept; options: the role's variables without `docker_engine_`."""
    return list(_problems(options))


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    size, files = options.get("log_max_size"), options.get("log_max_file")
    if size and not _SIZE.match(str(size)):
        yield f"docker_engine_log_max_size is {size!r}: give a size in Docker's notation, such as 10m."
    if files is not None and not 1 <= int(files) <= 1000:
        yield f"docker_engine_log_max_file is {files}: give a number of files from 1 to 1000."
    for mirror in options.get("registry_mirrors") or []:
        if not _is_mirror(str(mirror)):
            yield (
                f"docker_engine_registry_mirrors holds {without_passwords(str(mirror))!r}: give http:// or https:// with a host"
                " and perhaps a path, such as https://mirror.example.com. The daemon accepts no user and no query there."
            )
    for registry in options.get("insecure_registries") or []:
        if not _is_registry(str(registry)):
            yield (
                f"docker_engine_insecure_registries holds {without_passwords(str(registry))!r}: give host, host:port or a network,"
                " such as registry.example.com:5000 or 10.0.0.0/8."
            )
    proxies = options.get("proxies") or {}
    for name in proxies:
        if name not in PROXIES:
            yield f"docker_engine_proxies has {name!r}: only {', '.join(PROXIES)} are allowed."
    for name in ("http_proxy", "https_proxy"):
        value = str(proxies.get(name) or "")
        # The value may hold a password, and is not shown.
        if value and not _is_proxy(value):
            yield f"docker_engine_proxies.{name} is not an address of a proxy: give http://host:port, with special characters of a password as %XX."
    if not re.match(r"\A[A-Za-z0-9.,:*/\[\]_-]*\Z", str(proxies.get("no_proxy") or "")):
        yield "docker_engine_proxies.no_proxy is not a list of hosts: separate them by commas, such as localhost,.example.com,10.0.0.0/8."
    daemon = options.get("daemon_options") or {}
    for variable, path in KEYS.items():
        if options.get(variable) not in (None, "", [], {}) and _says(daemon, path):
            yield f"docker_engine_{variable} and docker_engine_daemon_options both set {'.'.join(path)}: leave one of them out."
    registries = daemon.get("insecure-registries") or []
    if not isinstance(registries, list):
        yield "docker_engine_daemon_options.insecure-registries is not a list: give one of hosts, host:port or networks."
        return
    for registry in registries:
        if not _is_registry(str(registry)):
            yield (
                f"docker_engine_daemon_options.insecure-registries holds {without_passwords(str(registry))!r}, with which no daemon starts:"
                " give host, host:port or a network."
            )


def _is_registry(text: str) -> bool:
    """Return whether the daemon takes a text as a registry or a network of registries."""
    if not _REGISTRY.match(text):
        return False
    if "/" in text:
        try:
            ip_network(text, strict=False)
        except ValueError:
            return False
        return True
    return _port_fits(text)


def _is_mirror(text: str) -> bool:
    found = _MIRROR.match(text)
    return found is not None and _port_fits(found[1])


def _is_proxy(text: str) -> bool:
    found = re.match(r"\A(?:https?|socks5h?)://([^/]+)/?\Z", text)
    return found is not None and _LINE.match(text) is not None and _port_fits(found[1].rpartition("@")[2])


def _port_fits(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").port != 0
    except ValueError:
        return False


def _says(settings: Mapping[str, Any], path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(settings, Mapping) or key not in settings:
            return False
        settings = settings[key]
    return True


@dataclass(frozen=True)
class Outcome:
    """What becomes of daemon.json. settings: its whole new content; changed: the names of the settings that differ; reload: whether a running daemon
    can reload all of these; problem: why the settings are not possible, empty if they are."""

    settings: dict[str, Any]
    changed: list[str]
    reload: bool
    problem: str


def outcome(current: Mapping[str, Any], options: Mapping[str, Any], bring_up: bool) -> Outcome:
    """Return what becomes of the settings that a daemon has.

    Args:
        current: What its daemon.json holds, {} for none.
        options: The role's variables without `docker_engine_`. None, empty lists and empty texts ask for nothing.
        bring_up: Whether the role is about to start the daemon: then it also gets the role's own settings, unless others are given.
    """
    daemon = options.get("daemon_options") or {}
    new = merged(current, daemon)
    driver = new.get("log-driver", LOG_DRIVER)
    if driver not in ROTATING and isinstance(new.get("log-opts"), Mapping):
        # No other driver starts with them: those of the driver that was there before go with it.
        given = daemon.get("log-opts") or {}
        kept = {name: value for name, value in new.pop("log-opts").items() if name not in OF_ROTATION or name in given}
        new |= {"log-opts": kept} if kept else {}
    asked_logs = {
        "max-size": str(options["log_max_size"]) if options.get("log_max_size") else None,
        "max-file": str(options["log_max_file"]) if options.get("log_max_file") is not None else None,
    }
    asked_logs = {name: value for name, value in asked_logs.items() if value is not None}
    problem = ""
    if asked_logs and driver not in ROTATING:
        problem = (
            f"docker_engine_log_max_size and docker_engine_log_max_file are options of the log drivers {' and '.join(ROTATING)}, and daemon.json"
            f" or docker_engine_daemon_options chooses {driver!r}: leave them out, or choose one of these drivers."
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
    # What is known of the current settings may be without passwords.
    shown = without_passwords(new)
    changed = sorted(key for key in {**current, **new} if new.get(key) != current.get(key) and shown.get(key) != current.get(key))
    return Outcome(new, changed, set(changed) <= RELOADED, problem)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two mappings merged, key by key and also nested ones; a list of the second one replaces that of the first, and None takes a key away."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(old if isinstance(old, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return result


def proxies_missing(asked: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return the names of the proxies that differ from the wanted ones; known: the daemon's own record of them, with each password hidden."""
    return [name for name in PROXIES if asked.get(name) and hidden(str(asked[name])) != hidden(str(known.get(name) or ""))]


def hidden(proxy: str) -> str:
    """Return the address of a proxy as the daemon shows it: without user and password."""
    parts = urlsplit(proxy)
    return proxy.replace(f"{parts.netloc.rpartition('@')[0]}@", "") if "@" in parts.netloc else proxy


def environment(proxies: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables that set a daemon's proxies; it reads names in upper case."""
    return {name.upper(): str(proxies[name]) for name in PROXIES if proxies.get(name)}
