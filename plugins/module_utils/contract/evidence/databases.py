"""The small databases of an image: accounts, packages, the name of the system."""

from __future__ import annotations

import re

from ...common import apk
from .model import Account, Group, Package

# Where apk keeps what is installed: up to apk-tools 2, and since Alpine's merged /usr.
APK_DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
OS_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
PASSWD, GROUP, SHADOW = "/etc/passwd", "/etc/group", "/etc/shadow"
_NUMBER = re.compile(r"[0-9]{1,10}")


def parse_accounts(passwd: str, shadow: str) -> tuple[Account, ...]:
    """Read /etc/passwd and /etc/shadow; damaged lines are passed over (passwd(5), shadow(5))."""
    passwords = {row[0]: row[1] for row in (line.split(":") for line in shadow.splitlines()) if len(row) >= 2}
    accounts = []
    for line in passwd.splitlines():
        row = line.split(":")
        if len(row) == 7 and _NUMBER.fullmatch(row[2]) and _NUMBER.fullmatch(row[3]):
            # "x" means that the password is in /etc/shadow; anything else in this field is the password itself.
            password = passwords.get(row[0]) if row[1] == "x" else row[1]
            accounts.append(Account(row[0], int(row[2]), int(row[3]), row[6], password))
    return tuple(accounts)


def parse_groups(text: str) -> tuple[Group, ...]:
    """Read /etc/group; damaged lines are passed over (group(5))."""
    groups = []
    for line in text.splitlines():
        row = line.split(":")
        if len(row) == 4 and _NUMBER.fullmatch(row[2]):
            groups.append(Group(row[0], int(row[2]), tuple(name for name in row[3].split(",") if name)))
    return tuple(groups)


def parse_apk_database(text: str) -> tuple[Package, ...]:
    """Read apk's list of what is installed."""
    installed = apk.parse(text)
    provided = apk.providers(installed)
    packages = [
        Package(
            name=package.name,
            version=package.version,
            architecture=package.fields.get("A", ""),
            license=package.fields.get("L", ""),
            origin=package.fields.get("o", ""),
            files=frozenset(path for path, owned in package.owned.items() if not owned.directory),
            needs=tuple(sorted({provided[wanted] for wanted in apk.needs(package) if wanted in provided} - {package.name})),
        )
        for package in installed
    ]
    return tuple(sorted(packages, key=lambda package: package.name))


def parse_os_release(text: str) -> dict[str, str]:
    """Read os-release(5): KEY=value lines, the values possibly quoted."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _equals, value in pairs}
