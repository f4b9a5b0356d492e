"""Filters of the role docker_engine: what a distribution is called by its packages, what the daemon is asked for, and the report on a machine.

Derivatives name what they are made of in /etc/os-release (os-release(5)), each in its own way: a program, not a template.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..module_utils.common.text import without_passwords
from ..plugin_utils import engine_options
from ..plugin_utils.machine import report

# Releases that are too old, by the names that they and their derivatives give them -> why.
_TOO_OLD = {
    **dict.fromkeys(
        ("stretch", "buster", "bullseye", "elsie", "debbie", "chimaera"), "its python3-docker is older than 5.0.3, which modules need"
    ),
    **dict.fromkeys(("xenial", "bionic", "focal"), "its Python or its python3-docker is older than what modules need (3.9, 5.0.3)"),
}
# Codename of a release -> the file of the role's vars/ that has its packages. Of derivatives the one of what they are made of counts.
_BY_RELEASE = {
    **dict.fromkeys(("bookworm", "faye", "daedalus"), "Debian-12"),
    **dict.fromkeys(("trixie", "gigi", "excalibur", "forky", "sid", "kali-rolling"), "Debian"),
    **dict.fromkeys(("jammy", "noble", "plucky", "questing", "resolute"), "Ubuntu"),
}
# Codename of a release -> the suite of Docker's own repository for it, where that has another name; of Debian's, by family. What is not yet released has none.
_SUITES = {
    "debian": {**dict.fromkeys(("bookworm", "faye", "daedalus"), "bookworm"), **dict.fromkeys(("trixie", "gigi", "excalibur"), "trixie")},
    "ubuntu": {name: name for name in ("jammy", "noble", "plucky", "questing", "resolute")},
}
_SUITES_BY_NUMBER = {"debian": {"12": "bookworm", "13": "trixie"}, "ubuntu": {"22": "jammy", "24": "noble", "26": "resolute"}}
# Distribution, or what it is like, where there is one file for all of its releases.
_BY_DISTRIBUTION = {
    "fedora": "Fedora",
    "alpine": "Alpine",
    "arch": "Archlinux",
    "archlinux": "Archlinux",
    "opensuse": "Suse",
    "suse": "Suse",
    "opensuse-leap": "Suse",
    "opensuse-tumbleweed": "Suse",
}
# Like Fedora by their own word, and without its package moby-engine.
_NOT_FEDORA = ("rhel", "centos", "rocky", "almalinux", "ol", "amzn")


def os_release(text: str) -> dict[str, str]:
    """Return the entries of /etc/os-release, without their quotes."""
    found = {}
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if sign and re.fullmatch(r"[A-Z0-9_]+", name):
            try:
                found[name] = "".join(shlex.split(value)[:1])
            except ValueError:
                found[name] = value
    return found


def docker_engine_platform(text: str) -> dict[str, Any]:
    """Say which packages a distribution has.

    Args:
        text: Its /etc/os-release.

    Returns:
        `file`, the name of the file of the role's vars/ without its ending, "" if the distribution is not supported; `name`, as a person calls it;
        `reason`, why it is not supported, "" if nothing more is known; `family` and `suite`, which packages of Docker's own repository are for it,
        "" if none are known.
    """
    entries = os_release(text)
    name = entries.get("PRETTY_NAME") or entries.get("ID") or "a system without /etc/os-release"
    file, reason = _found(entries)
    family, suite = _repository(entries)
    return {"file": file, "name": name, "reason": reason, "family": family, "suite": suite}


def _repository(entries: Mapping[str, str]) -> tuple[str, str]:
    """Return (family, suite) in Docker's own repository."""
    for key in ("UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME"):
        for family, suites in _SUITES.items():
            if entries.get(key, "") in suites:
                return family, suites[entries[key]]
    family = entries.get("ID", "")
    numbers = _SUITES_BY_NUMBER.get(family)
    # The family is known also where the suite is not: one can be named.
    return (family, numbers.get(entries.get("VERSION_ID", "").partition(".")[0], "")) if numbers is not None else ("", "")


def _found(entries: Mapping[str, str]) -> tuple[str, str]:
    """Return (file, reason)."""
    ids = [entries.get("ID", ""), *entries.get("ID_LIKE", "").split()]
    # Of Mint the base is UBUNTU_CODENAME, or DEBIAN_CODENAME in its Debian edition, and VERSION_CODENAME its own.
    for key in ("UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME"):
        codename = entries.get(key, "")
        if codename in _TOO_OLD:
            return "", _TOO_OLD[codename]
        if codename in _BY_RELEASE:
            return _BY_RELEASE[codename], ""
    version = re.match(r"[0-9]+", entries.get("VERSION_ID", ""))
    number = int(version[0]) if version else None
    if ids[0] == "debian":
        # What has no number yet is to be the next one.
        return ("Debian", "") if number is None or number >= 13 else ("Debian-12", "") if number == 12 else ("", _TOO_OLD["bullseye"])
    if ids[0] == "ubuntu":
        return ("Ubuntu", "") if number is None or number >= 22 else ("", _TOO_OLD["focal"])
    if set(ids).intersection(_NOT_FEDORA):
        return "", "it has no package of a Docker Engine of its own"
    return next(((_BY_DISTRIBUTION[one], "") for one in ids if one in _BY_DISTRIBUTION), ("", ""))


def docker_engine_settings(current: Mapping[str, Any] | None, options: Mapping[str, Any], bring_up: bool = False) -> dict[str, Any]:
    """Return what becomes of the daemon's settings, as plugin_utils/engine_options.py `Outcome` has it."""
    # Not by asdict, which copies what is within: Ansible's own mappings do not let themselves be copied so.
    return dict(vars(engine_options.outcome(current or {}, options, bring_up)))


class FilterModule:
    """The filters by their names."""

    def filters(self) -> dict[str, Any]:
        """Return them."""
        return {
            "docker_engine_environment": engine_options.environment,
            "docker_engine_platform": docker_engine_platform,
            "docker_engine_problems": engine_options.problems,
            "docker_engine_proxies_missing": engine_options.proxies_missing,
            "docker_engine_settings": docker_engine_settings,
            "docker_engine_without_passwords": without_passwords,
            "machine_report": report,
        }
