"""What a run reports about a fleet: which host may take part, and which host runs what at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.common.names import TAG_LENGTH
from ..module_utils.common.settings import PLATFORMS, Settings
from ..module_utils.common.text import visible

# The settings that determine an image, without those by which a host may judge it; deploy/earlier.py has the whole list.
_OF_HOSTS = ("budget", "waivers")
_ID = 12
# The columns of the table.
_HEAD = ("host", "service", "image id", "digest", "version", "state")


def differences(settings: Settings, built: Mapping[str, Any]) -> list[str]:
    """Return in which settings a host's variables differ from those with which an image was made, one phrase for each.

    built: the settings with which it was made, from the build host's history; a setting that is not recorded there counts as equal.
    """
    own = settings.as_json()
    return [
        f"go_service_{name} is {own[name]!r} here, and {value!r} there"
        for name, value in built.items()
        if name in own and name not in _OF_HOSTS and _plain(own[name]) != _plain(value)
    ]


def _plain(value: Any) -> Any:
    """Return a value in its JSON form."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def platform_of(host: Mapping[str, Any], builder: Mapping[str, Any]) -> str:
    """Return for which platform a host needs images, "" for the build host's own; both in the form that the module `running` returns."""
    return "" if host["architecture"] == builder["architecture"] else f"linux/{host['architecture']}"


def platforms(hostvars: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Return for which platforms the build host builds besides its own: each with the first of its hosts, which shows that the image runs there.

    hostvars: of Ansible, empty where it only checks a playbook's syntax; names: the hosts in their order. Hosts that the run did not look at do not count.
    """
    found: dict[str, str] = {}
    for name in names:
        platform = str(hostvars[name].get("__go_service_fleet_platform") or "") if name in hostvars else ""
        if platform:
            found.setdefault(platform, name)
    return found


def unfit(host: Mapping[str, Any], builder: Mapping[str, Any]) -> str:
    """Return why a host cannot run the build host's images, "" if it can; both in the form that the module `running` returns."""
    if platform_of(host, builder) not in ("", *PLATFORMS):
        return f"it needs images for {host['architecture']}, which cannot be built on a host for {builder['architecture']}"
    if host["engine"] and builder["engine"] and host["containerd"] != builder["containerd"]:
        kinds = {True: "containerd's", False: "the classic one"}
        return (
            f"its Engine {host['engine']} keeps images in another store than that of the build host, {builder['engine']}: "
            f"{kinds[host['containerd']]} and {kinds[builder['containerd']]}. The same image has another id there, so it could not be recognised as the same one"
        )
    return ""


def ahead(host: Mapping[str, Any], builder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a host has of a service if it certainly lacks the build host's image, so that this can be fetched for it without looking again; else {}.

    host, builder: in the form that the module `running` returns, {} for a host that was not looked at; name: of the service. The result: known (ids of images
    of the service), layers (those of each image that runs there, the lowest first).
    """

    def service(of: Mapping[str, Any]) -> Mapping[str, Any]:
        return next((known for known in of.get("services", ()) if known["name"] == name and known["image"]), {})

    own, there = service(host), service(builder)
    # The history does not know all that runs: it may have been lost.
    known = [own["image"], *own["known"]] if own else []
    if not own or not there or there["image"] in known:
        return {}
    return {"known": known, "layers": [] if host["containerd"] else [known["layers"] for known in host["services"]]}


def state_of(host: Mapping[str, Any], service: Mapping[str, Any]) -> str:
    """Return the last column of a service's row. host: `failed` (its failure, "" for none), `done` (whether it had its turn); service: `failed` if it is known
    which services of the host failed."""
    failed = str(service.get("failed", host["failed"])).rstrip(".")
    if failed:
        return f"FAILED: {failed}; what runs: {service['state']}"
    return str(service["state"] if host["done"] or "failed" in service else f"not reached; what runs: {service['state']}")


def table(hosts: Sequence[Mapping[str, Any]]) -> str:
    """Return which host runs what, one line for each service of each host. hosts: each with `name`, `failed`, `done` and `services`, as in `running`."""
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
    """Return what is known about the hosts of a run, in the form that `table` takes; hostvars: of Ansible; names: the hosts in their order."""
    found = []
    for name in names:
        known = hostvars[name]
        if not known.get("__go_service_fleet_seen"):
            continue  # The run did not look at it: --limit leaves it out.
        failed = str(known.get("__go_service_fleet_failed") or "")
        begun, done = known.get("__go_service_fleet_begun"), known.get("__go_service_fleet_done")
        if begun and not done and not failed:
            failed = "it could not be reached any more"
        outcomes = {one["name"]: one for one in known.get("__go_service_outcomes") or ()}
        services = [
            {**service, "failed": str(outcomes[service["name"]]["told"]) if outcomes[service["name"]]["failed"] else ""}
            if service["name"] in outcomes
            else service
            for service in known["__go_service_fleet_seen"]["services"]
        ]
        found.append({"name": name, "failed": (failed.splitlines() or [""])[0], "done": bool(done), "services": services})
    return found
