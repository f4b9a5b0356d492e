"""Debian's packages of a release with all their dependencies, as an archive from which apt can install without any other repository.

apt itself chooses them, in a separate root directory in which nothing is installed: so the packages and the release of the machine that writes the bundle
do not matter, and no target machine lacks a dependency. A package that a machine already has in a sufficient version is not changed.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .archive import BundleError

INDEX = "Packages"
_SECONDS = 1800
_SECURITY = "{suite}-security"
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def sources(release: str, mirror: str, security_mirror: str) -> str:
    """Return the sources.list of a release, only with the indexes of binary packages."""
    options = f"[signed-by={_KEYS} target=Packages]"
    suites = [(mirror, release), (mirror, f"{release}-updates"), (security_mirror, _SECURITY.format(suite=release))]
    # From a mirror on this machine's own disk (file:), apt would not copy the files.
    return "".join(f"deb {options} {re.sub('^file:', 'copy:', address)} {suite} main\n" for address, suite in suites)


def apt_options(root: Path) -> list[str]:
    """Return the options with which apt works in a separate root directory, and reaches its mirrors with the settings of this machine's apt."""
    places = {
        "Dir::Etc::SourceList": root / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": root / "state",
        "Dir::State::status": root / "status",
        "Dir::Cache": root / "cache",
        "Dir::Log": root / "log",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    return [part for name, value in places.items() for part in ("-o", f"{name}={value}")]


def _run(root: Path, *command: str) -> str:
    program, *arguments = command
    try:
        done = subprocess.run(
            [program, *apt_options(root), *arguments],
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError as error:
        raise BundleError(
            f"{program} is missing on this machine, which chooses Debian's packages",
            "Write the bundle on Debian or one of its derivatives.",
        ) from error
    if done.returncode or "\nE: " in f"\n{done.stderr}":
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))] or done.stderr.splitlines()
        raise BundleError(
            f"{program} {arguments[0]}: {'; '.join(said[-4:])}",
            "Make sure that apt on this machine reaches bundle_mirror and bundle_security_mirror, and that debian-archive-keyring is new enough for the release.",
        )
    return done.stdout


def stanza(control: str, name: str, size: int, sha256: str) -> str:
    """Return a package's part of the index; control: what dpkg-deb prints about it."""
    return f"{control.strip()}\nFilename: ./{name}\nSize: {size}\nSHA256: {sha256}\n"


def fetch(release: str, wanted: Iterable[str], optional: Iterable[str], mirrors: tuple[str, str], target: Path) -> list[str]:
    """Write the archive of a release's packages and return the names of its files.

    wanted: names of packages; optional: further packages, if the release has them; mirrors: of the release, and of its security updates.
    """
    with tempfile.TemporaryDirectory(prefix="go-service-bundle-") as made:
        root = Path(made)
        for directory in ("state/lists/partial", "cache/archives/partial", "log"):
            (root / directory).mkdir(parents=True)
        (root / "status").touch()
        (root / "sources.list").write_text(sources(release, *mirrors), encoding="utf-8")
        _run(root, "apt-get", "update", "-o", "APT::Update::Error-Mode=any")
        there = set(_run(root, "apt-cache", "pkgnames", "--no-all-names").split())
        names = [*wanted, *(name for name in optional if name in there)]
        _run(root, "apt-get", "install", "--yes", "--download-only", "--no-install-recommends", *names)
        return _packed(sorted((root / "cache/archives").glob("*.deb")), target)


def _packed(files: list[Path], target: Path) -> list[str]:
    """Write files of packages and their index as a tar archive."""
    index = target.with_suffix(".index")
    parts = []
    for file in files:
        control = subprocess.run(["dpkg-deb", "--field", str(file)], capture_output=True, text=True, check=True, timeout=60).stdout
        parts.append(stanza(control, file.name, file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()))
    index.write_text("\n".join(parts), encoding="utf-8")
    try:
        with tarfile.open(target, "w") as archive:
            for path, name in [(index, INDEX), *((file, file.name) for file in files)]:
                info = tarfile.TarInfo(name)
                info.size, info.mode = path.stat().st_size, 0o644
                with path.open("rb") as content:
                    archive.addfile(info, content)
    finally:
        index.unlink()
    return [file.name for file in files]
