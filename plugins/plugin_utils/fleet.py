"""What a run tells of a fleet: which host may take part, and which host runs what at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.common.names import TAG_LENGTH
from ..module_utils.common.settings import Settings
from ..module_utils.common.text import visible

# What an image is made with, but for what a host may judge it by: deploy/earlier.py has the whole list.
_OF_HOSTS = ("budget", "waivers")
_ID = 12
# The columns of the table.
_HEAD = ("host", "service", "image id", "digest", "version", "state")


def differences(settings: Settings, built: Mapping[str, Any]) -> list[str]:
    """Return what a host's variables ask of an image otherwise than it was made, a phrase each.

    built: the settings that it was made with, as the build host's history has them; what it has nothing of is no difference.
    """
    own = settings.as_json()
    return [
        f"go_service_{name} is {own[name]!r} here, and {value!r} there"
        for name, value in built.items()
        if name in own and name not in _OF_HOSTS and _plain(own[name]) != _plain(value)
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def unfit(host: Mapping[str, Any], builder: Mapping[str, Any]) -> str:
    """Return why a host cannot run the build host's images, "" if it can; both as the module `running` returns them."""
    if host["architecture"] != builder["architecture"]:
        return f"it needs images for {host['architecture']}, and the build host makes them for {builder['architecture']}"
    if host["engine"] and builder["engine"] and host["containerd"] != builder["containerd"]:
        kinds = {True: "containerd's", False: "the classic one"}
        return (
            f"its Engine {host['engine']} keeps images in another store than that of the build host, {builder['engine']}: "
            f"{kinds[host['containerd']]} and {kinds[builder['containerd']]}. An image has another id there, by which nobody could tell that it is the same one"
        )
    return ""


def state_of(host: Mapping[str, Any], service: Mapping[str, Any]) -> str:
    """Return the last column of a service's row. host: `failed` (what it failed with, "" for nothing), `done` (whether it was its turn)."""
    if host["failed"]:
        return f"FAILED: {host['failed']}; what runs: {service['state']}"
    return str(service["state"] if host["done"] else f"not reached; what runs: {service['state']}")


def table(hosts: Sequence[Mapping[str, Any]]) -> str:
    """Return which host runs what, a line for each service of each. hosts: each with `name`, `failed`, `done` and `services`, as `running` has them."""
    rows = [_HEAD]
    for host in hosts:
        for service in host["services"]:
            image = str(service["image"]).rpartition(":")[2][:_ID]
            cells = (image or "-", str(service["digest"])[:TAG_LENGTH] or "-", str(service["version"]) or "-")
            rows.append((str(host["name"]), str(service["name"]), *cells, state_of(host, service)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    lines = ("  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths)), row[-1]]).rstrip() for row in rows)
    return "\n".join(str(visible(line)) for line in lines)


def fleet(hostvars: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known of the hosts of a run, as `table` takes it; hostvars: of Ansible; names: the hosts in their order."""
    found = []
    for name in names:
        known = hostvars[name]
        if not known.get("__go_service_fleet_seen"):
            continue  # Nobody looked at it: --limit leaves it out.
        failed = str(known.get("__go_service_fleet_failed") or "")
        begun, done = known.get("__go_service_fleet_begun"), known.get("__go_service_fleet_done")
        if begun and not done and not failed:
            failed = "it could not be reached any more"
        services = known["__go_service_fleet_seen"]["services"]
        found.append({"name": name, "failed": (failed.splitlines() or [""])[0], "done": bool(done), "services": services})
    return found
