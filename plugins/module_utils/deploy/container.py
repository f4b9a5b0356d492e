"""What a container of the service looks like: the body of the Engine's create call, its hash, and in what a running container differs from it.

API reference: https://docs.docker.com/reference/api/engine/version/v1.41/ (ContainerCreate).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..common.names import KIND_CANDIDATE, KIND_SERVICE, LABEL_CONFIG, LABEL_KIND, LABEL_NAME
from ..common.secrets import fingerprint
from ..common.settings import Settings
from ..engine.records import health_test
from . import secret_files

# A health check's own start interval came with this API version (Engine 25).
START_INTERVAL_API = (1, 44)
# How often the health check of a candidate runs. The first one comes one interval after the start, so this limits how exactly a start can be measured.
CANDIDATE_INTERVAL = 250_000_000
# The variables that name a proxy, in upper and in lower case, since programs read both.
PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
# The entries of HostConfig for each limit, by its variable.
_ENTRIES = {"memory": ("Memory", "MemorySwap"), "cpus": ("NanoCpus",), "pids_limit": ("PidsLimit",)}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


def host_config(settings: Settings, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the hardened HostConfig, without published ports; without: the limits that the Engine cannot hold, by their variables.

    The Engine would leave these limits out of the container, which would then never be as it was asked for, or it would refuse the container.
    """
    config: dict[str, Any] = {
        "ReadonlyRootfs": settings.read_only,
        "CapDrop": list(settings.cap_drop),
        "CapAdd": list(settings.cap_add),
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": settings.pids_limit,
        "Memory": settings.memory,
        # As much as Memory: no swap on top of the limit.
        "MemorySwap": settings.memory,
        "NanoCpus": round(settings.cpus * 1_000_000_000),
        "Tmpfs": dict(settings.tmpfs),
        "Binds": list(settings.volumes),
        "NetworkMode": settings.network,
        "RestartPolicy": {"Name": settings.restart_policy, "MaximumRetryCount": 0},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": settings.written("log_max_size"), "max-file": str(settings.log_max_file)},
        },
    }
    for variable in without:
        for entry in _ENTRIES[variable]:
            del config[entry]
    return config


def _past_proxies(settings: Settings, record: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the changes that the image's health check needs if the container's environment names a proxy: BusyBox's wget would send the request for the
    service itself to that proxy, since it does not support exceptions (no_proxy). An empty value means no proxy, for it as for other programs."""
    given = ((record or {}).get("Config") or {}).get("Env") or []
    environment = {**dict(variable.partition("=")[::2] for variable in given), **settings.env}
    named = [f"{name}=" for name in PROXIES if environment.get(name)]
    test = health_test(record or {}) or settings.health_test
    return {"Test": ["CMD", "env", *named, *test]} if named else {}


def create_body(
    settings: Settings, image: str, api_version: tuple[int, int], record: Mapping[str, Any] | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the create body of the service's own container.

    image: reference to create from; record: what the Engine has of it; without: the limits that the Engine cannot hold. Where the Engine knows start intervals, the health check asks each second until the first
    success within the start period, instead of waiting one full interval; everything else of it is the image's.
    """
    body: dict[str, Any] = {
        "Image": image,
        "Cmd": list(settings.args) or None,
        "Env": [f"{name}={value}" for name, value in settings.env.items()],
        "StopTimeout": settings.stop_timeout,
        "Labels": {**settings.labels, LABEL_NAME: settings.name, LABEL_KIND: KIND_SERVICE},
        "ExposedPorts": {port: {} for port in settings.exposed},
        "HostConfig": host_config(settings, without),
    }
    if settings.publications:
        bindings: dict[str, list[dict[str, str]]] = {}
        for published in settings.publications:
            at = {"HostIp": published.endpoint.address, "HostPort": str(published.endpoint.port)}
            bindings.setdefault(published.inside, []).append(at)
        body["HostConfig"]["PortBindings"] = bindings
    body["HostConfig"]["Binds"] += secret_files.binds(settings, image)
    if settings.stop_signal:
        body["StopSignal"] = settings.stop_signal
    if settings.networks:
        body["NetworkingConfig"] = {"EndpointsConfig": {network: {} for network in settings.networks}}
    if api_version >= START_INTERVAL_API:
        body["Healthcheck"] = {
            "Interval": _nanoseconds(settings.health_interval),
            "Timeout": _nanoseconds(settings.health_timeout),
            "Retries": settings.health_retries,
            "StartPeriod": _nanoseconds(settings.health_start_period),
            "StartInterval": 1_000_000_000,
        }
    past_proxies = _past_proxies(settings, record)
    if past_proxies:
        body["Healthcheck"] = {**body.get("Healthcheck", {}), **past_proxies}
    body["Labels"][LABEL_CONFIG] = config_hash(body)
    return body


def candidate_body(
    settings: Settings, image: str, api_version: tuple[int, int], record: Mapping[str, Any] | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the create body of a candidate: the service's, without host port and restarts, probed at a short interval."""
    body = create_body(replace(settings, publish=None, publish_more=(), restart_policy="no"), image, api_version, record, without)
    body["Labels"][LABEL_KIND] = KIND_CANDIDATE
    body["Healthcheck"] = {
        **_past_proxies(settings, record),
        "Interval": CANDIDATE_INTERVAL,
        "Timeout": _nanoseconds(settings.health_timeout),
        "Retries": settings.health_retries,
        "StartPeriod": _nanoseconds(settings.start_timeout),
    }
    if api_version >= START_INTERVAL_API:
        body["Healthcheck"]["StartInterval"] = CANDIDATE_INTERVAL
    return body


def config_hash(body: Mapping[str, Any]) -> str:
    """Return a hash (16 hex digits) of a create body, its own hash label left out.

    Labels of containers are sent where environments are not, for instance to monitoring; so the hash must make it costly to guess a value.
    """
    return _hash_with(body, fingerprint(body["Env"], body["Labels"][LABEL_NAME]) or [])


def _hash_with(body: Mapping[str, Any], environment: Any) -> str:
    labels = {name: value for name, value in body["Labels"].items() if name != LABEL_CONFIG}
    document = {**body, "Labels": labels, "Env": environment}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def is_made_by(body: Mapping[str, Any], inspected: Mapping[str, Any]) -> bool:
    """Say whether a container was made with a create body; an earlier version of the role used a fast hash of the environment."""
    return inspected["Config"]["Labels"].get(LABEL_CONFIG) in (body["Labels"][LABEL_CONFIG], _hash_with(body, body["Env"]))


_COMPARED = ("ReadonlyRootfs", "PidsLimit", "Memory", "NanoCpus", "RestartPolicy", "NetworkMode", "PortBindings")


def drift(body: Mapping[str, Any], inspected: Mapping[str, Any]) -> list[str]:
    """Return in what a container's limits differ from the wanted ones, as "Memory 64 instead of 32".

    The label says with which limits a container was made; `docker update` can change some of them later, which only a look at the container shows.
    """
    wanted = {"PortBindings": {}, **body["HostConfig"]}
    actual = inspected.get("HostConfig") or {}
    found = []
    for key in _COMPARED:
        present = actual.get(key)
        if (present or None) != (wanted.get(key) or None):
            found.append(f"{key} {json.dumps(present)} instead of {json.dumps(wanted.get(key))}")
    present = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    further = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    found += [f"it is not in the network {network}" for network in further if network not in present]
    return found
