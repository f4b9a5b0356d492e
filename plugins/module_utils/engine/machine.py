"""The machine of an Engine: which program answers and from which package, what it has for containers, and what the role docker_engine has set up there.

Looks at files and package databases of the machine on which the modules run; nothing here talks to the Engine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.text import without_passwords

# The daemon's settings, and the record of what the role docker_engine itself has installed: {"source", "packages"}.
SETTINGS, RECORD = Path("/etc/docker/daemon.json"), Path("/etc/docker/go-service.json")
# What the role lays before it changes settings, and takes away when the daemon uses them.
PENDING = Path("/etc/docker/go-service.pending")
# What lies there while the roles install packages.
INSTALLING = Path("/var/lib/misc/go-service.installing")
PID_FILES = ("/var/run/docker.pid", "/run/docker.pid")
# Package of a daemon -> where it comes from. Other packages are shown by their names.
SOURCES = {
    "docker.io": "the distribution",
    "moby-engine": "the distribution",
    "docker": "the distribution",
    "docker-engine": "the distribution",
    "docker-ce": "Docker's repository",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
# Seconds that the database of packages may take.
_LIMIT = 20
# Seconds that the Engine of a user may take to answer.
_PATIENCE = 2
# Where the sockets of Engines are that users run without root, each in a directory by the user's number.
USERS = Path("/run/user")


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object of a file; {} if there is none, None if it cannot be read or holds anything else."""
    try:
        # The daemon passes by the mark that editors of Windows begin a file with.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        return None
    try:
        found = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def set_up() -> dict[str, Any]:
    """Return what the role docker_engine needs to know about the machine's own daemon.

    `record`: what the role itself has installed, {} if it has not, or if another daemon took its place; `settings`: the content of daemon.json without
    passwords, {} for none, None if it cannot be read; `pending`: whether a run that was killed left settings that the daemon may not use yet; `installing`:
    whether one left packages that dpkg may not have finished with; `process`:
    the number of the daemon's process, 0 if none runs; `rootless`: as the function of that name returns it.
    """
    return {
        "record": record(),
        "settings": without_passwords(read_object(SETTINGS)),
        "pending": PENDING.exists(),
        "installing": INSTALLING.exists(),
        "process": process(),
        "rootless": rootless(),
    }


def record() -> dict[str, Any]:
    """Return what the role has installed, {} if it has not, or if another daemon took its place."""
    found = read_object(RECORD) or {}
    return {} if found and _replaced(found, origin(program())["package"]) else found


def _replaced(record: Mapping[str, Any], package: str) -> bool:
    """Return whether the daemon that is there now comes from a package of the other vendor than the one that a record tells of."""
    if package not in SOURCES or package in (record.get("packages") or []):
        return False
    return (SOURCES[package] == SOURCES["docker-ce"]) != (record.get("source") == "docker")


def process(proc: Path = Path("/proc")) -> int:
    """Return the number of the process of the machine's own daemon, 0 if none runs. One that was killed and not yet waited for does not run."""
    for pid_file in PID_FILES:
        try:
            number = int(Path(pid_file).read_text(encoding="ascii"))
            command = (proc / str(number) / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if b"dockerd" in command:
            return number
    return _by_hand(proc)


def _by_hand(proc: Path) -> int:
    """Return the number of a daemon that root has started with a process file of its own, which no unit and no earlier run of a role does; 0 for none."""
    for found in sorted((path for path in proc.glob("[0-9]*") if path.name.isdecimal()), key=lambda path: int(path.name)):
        # A process may end at any time.
        with contextlib.suppress(OSError):
            names = (found / "comm").read_text(encoding="utf-8", errors="replace").strip(), _program_of(found)
            if (
                any(name.startswith("dockerd") for name in names)
                and found.stat().st_uid == 0
                and (found / "cmdline").read_bytes()
                and _lives_here(found, proc / "self")
            ):
                return int(found.name)
    return 0


def rootless(proc: Path = Path("/proc")) -> list[dict[str, str]]:
    """Return the Engines that users of the machine run without root and that answer, each with the name of its `user`, and its `docker_host`."""
    directories = {found.parent for found in USERS.glob("*/docker.sock")} | {*_of_rootless_daemons(proc)}
    paths = sorted(directory / "docker.sock" for directory in directories)
    return [{"user": _owner(path), "docker_host": f"unix://{path}"} for path in paths if _answers(path)]


def _of_rootless_daemons(proc: Path) -> Iterator[Path]:
    """Yield the directories in which daemons of other users than root have their sockets; the environment of another user's process is root's alone to read."""
    for found in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if found.stat().st_uid and (found / "comm").read_bytes().startswith(b"dockerd"):
                place = re.search(rb"(?:^|\0)XDG_RUNTIME_DIR=(/[^\0]+)", (found / "environ").read_bytes())
                yield from [Path(os.fsdecode(place[1]))] if place else []


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "an unknown user"


def _answers(path: Path) -> bool:
    """Return whether an Engine answers at a socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(_PATIENCE)
        asked.connect(str(path))
        asked.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return asked.recv(64).split()[1:2] == [b"200"]
    return False


def _program_of(process: Path) -> str:
    """Return the name of a process's program, also of one whose file was replaced; "" where only root may know."""
    try:
        return Path(os.readlink(process / "exe").removesuffix(" (deleted)")).name
    except PermissionError:
        return ""


def _lives_here(process: Path, own: Path) -> bool:
    """Return whether a process sees the same machine as this one: the daemon of a container, or of a machine made of namespaces, is not this machine's.

    An ordinary user may only know whether it has other numbers in a container.
    """
    try:
        return all(os.readlink(process / "ns" / kind) == os.readlink(own / "ns" / kind) for kind in ("pid", "mnt", "net"))
    except PermissionError:
        numbers = re.search(r"^NSpid:(.*)$", (process / "status").read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        return numbers is not None and len(numbers[1].split()) == 1


def program() -> str:
    """Return the path of the daemon that runs, else of the one that is installed, "" for none."""
    # The link can be read by root alone.
    with contextlib.suppress(OSError):
        found = os.readlink(f"/proc/{process()}/exe")
        if Path(found).name.startswith("dockerd"):
            return found
    return shutil.which("dockerd", path=_PATH) or ""


def _asked(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def origin(path: str) -> dict[str, str]:
    """Return whose a program is: `program`, `package`, `package_version` and `source`, in words; empty if nothing is known of it.

    A program that was in another directory in an earlier layout (/bin for /usr/bin) is looked for in both.
    """
    if not path:
        return {"program": "", "package": "", "package_version": "", "source": ""}
    if path.startswith("/snap/"):
        return {"program": path, "package": "docker", "package_version": "", "source": "a snap"}
    package = version = ""
    for spelled in (path, path.removeprefix("/usr") if path.startswith("/usr/") else f"/usr{path}"):
        package = package or _asked("dpkg-query", "--search", spelled).partition(":")[0].split(",")[0].strip()
    if package:
        version = _asked("dpkg-query", "--show", "--showformat=${Version}", package).strip()
    elif shutil.which("rpm", path=_PATH):
        package, _sign, version = _asked("rpm", "-qf", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}", path).strip().partition(" ")
    elif shutil.which("apk", path=_PATH):
        package = _asked("apk", "info", "--quiet", "--who-owns", path).strip()
    source = SOURCES.get(package, f"the package {package}") if package else "no package: it was installed by hand"
    return {"program": path, "package": package, "package_version": version, "source": source}


def security_modules(root: Path = Path("/sys")) -> list[str]:
    """Return the security modules of the kernel that confine programs (AppArmor, SELinux and others); root: where the kernel shows itself."""
    try:
        listed = (root / "kernel/security/lsm").read_text(encoding="ascii").strip().split(",")
    except OSError:
        # securityfs is not mounted, as in most containers.
        listed = []
        for name, file in (("apparmor", "module/apparmor/parameters/enabled"), ("selinux", "fs/selinux/enforce")):
            try:
                listed += [name] if (root / file).read_text(encoding="ascii").strip() in ("Y", "0", "1") else []
            except OSError:
                continue
    return [name for name in listed if name in ("apparmor", "selinux", "smack", "tomoyo")]


def space(path: str) -> dict[str, int]:
    """Return `free_bytes` and `size_bytes` of the file system that a directory is on; of the nearest one above, where it cannot be seen."""
    place = Path(path or "/")
    while True:
        try:
            found = os.statvfs(place)
        except OSError:
            if place == place.parent:
                return {"free_bytes": 0, "size_bytes": 0}
            place = place.parent
            continue
        return {"free_bytes": found.f_bavail * found.f_frsize, "size_bytes": found.f_blocks * found.f_frsize}


def first_process(proc: Path = Path("/proc")) -> str:
    """Return what starts the daemon after a restart of the machine: "systemd", the name of another init system, or "" for none that does."""
    try:
        name = (proc / "1/comm").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return name if re.fullmatch(r"systemd|init|openrc-init|runit|runit-init|s6-svscan|dinit", name) else ""


def has_unit(root: Path = Path("/")) -> bool:
    """Return whether an init system has a service of the daemon."""
    places = (
        "lib/systemd/system/docker.service",
        "usr/lib/systemd/system/docker.service",
        "etc/systemd/system/docker.service",
        "etc/init.d/docker",
    )
    return any((root / place).exists() for place in places)


def limits(info: Mapping[str, Any]) -> list[str]:
    """Return the Engine's own warnings about what this machine lacks for containers ("WARNING: No swap limit support")."""
    return [str(line).removeprefix("WARNING: ") for line in info.get("Warnings") or []]
