#!/usr/bin/env python3
"""Hold a release's tag to what the tree says, and build what the release has: the archive, its bill of materials, the notes, the checksums.

Usage: make release TAG=v1.2.0, or .venv/bin/python scripts/release.py check|build TAG [DIRECTORY]
  check  say what is wrong with the tag or the tree; ends with 1 where something is
  build  check, then write all files into the directory, .cache/release without one

A release is made like this: `antsibull-changelog release --version 1.2.0` takes the fragments into CHANGELOG.md, galaxy.yml gets the version, and both are committed; then the
tag v1.2.0 is pushed, and .github/workflows/release.yml does the rest.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import yaml
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
# What a user of the collection needs beside the collections of galaxy.yml; the other pins are for who works on the project.
NEEDED = ("ansible-core", "docker")


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return what keeps a tag from being a release, a sentence each."""
    match = re.fullmatch(r"v(\d+\.\d+\.\d+)", tag)
    if not match:
        return [f"The tag {tag} is no version: it is written like v1.2.0."]
    version, found = match[1], []
    declared = str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])
    if declared != version:
        found.append(f"galaxy.yml says {declared}, and the tag {tag}: change galaxy.yml, or tag v{declared}.")
    releases = yaml.safe_load((root / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    if version not in releases or not notes(version, root):
        found.append(f"CHANGELOG.md has no {version}: run antsibull-changelog release --version {version}, and commit what it wrote.")
    fragments = sorted(path.name for path in (root / "changelogs/fragments").glob("*.y*ml"))
    if fragments:
        found.append(f"These fragments are in no release yet: {', '.join(fragments)}. Run antsibull-changelog release --version {version}.")
    return found


def notes(version: str, root: Path = ROOT) -> str:
    """Return what CHANGELOG.md says of a version, "" where it says nothing."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    anchor = f'<a id="v{version.replace(".", "-")}"></a>\n'
    _before, _anchor, rest = text.partition(anchor)
    return re.split(r'^<a id="v\d+-\d+-\d+"></a>$', rest, maxsplit=1, flags=re.M)[0].strip()


def pins(root: Path = ROOT) -> dict[str, str]:
    """Return what requirements.txt installs on this Python: package -> version."""
    lines = [line for line in (root / "requirements.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = [Requirement(line) for line in lines]
    return {one.name: str(one.specifier)[2:] for one in found if one.marker is None or one.marker.evaluate()}


def installed_collections() -> dict[str, str]:
    """Return the collections of the project's environment: name -> version."""
    command = [Path(sys.executable).with_name("ansible-galaxy"), "collection", "list", "--format", "json"]
    listed = json.loads(subprocess.check_output(command, text=True, cwd=ROOT))
    return {name: entry["version"] for found in listed.values() for name, entry in found.items()}


def bill(archive: Path, moment: datetime, collections: dict[str, str], root: Path = ROOT) -> str:
    """Return the bill of materials of the collection itself, CycloneDX 1.6: the same for the same tree.

    archive: of the collection; moment: of the commit; collections: the versions of those that the environment has.
    """
    galaxy = yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))
    name, version = f"{galaxy['namespace']}.{galaxy['name']}", str(galaxy["version"])
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    product = Component(
        name=galaxy["name"],
        group=galaxy["namespace"],
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}@{version}",
        description=galaxy["description"],
        licenses=[DisjunctiveLicense(id=license_id) for license_id in galaxy["license"]],
        purl=PackageURL("generic", galaxy["namespace"], galaxy["name"], version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{galaxy['repository']}@{version}#{digest}"))
    bom.metadata.timestamp = moment
    bom.metadata.component = product
    used = [
        Component(
            name=dependency,
            version=collections[dependency],
            bom_ref=dependency,
            purl=PackageURL("generic", dependency.partition(".")[0], dependency.partition(".")[2], collections[dependency]),
            scope=ComponentScope.REQUIRED,
            properties=[Property(name="ansible:collection:range", value=allowed)],
        )
        for dependency, allowed in galaxy["dependencies"].items()
    ]
    tools = [
        Component(
            name=package,
            version=pinned,
            bom_ref=f"pypi:{package}",
            purl=PackageURL("pypi", None, package, pinned),
            # What the project is tested and built with is not shipped, and not needed to use it.
            scope=ComponentScope.REQUIRED if package in NEEDED else ComponentScope.EXCLUDED,
        )
        for package, pinned in pins(root).items()
    ]
    for component in (*used, *tools):
        bom.components.add(component)
    bom.register_dependency(product, [component for component in (*used, *tools) if component.scope == ComponentScope.REQUIRED])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def build(tag: str, directory: Path) -> list[Path]:
    """Write what the release has into a directory; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    galaxy_command = Path(sys.executable).with_name("ansible-galaxy")
    subprocess.run([galaxy_command, "collection", "build", "--output-path", directory], cwd=ROOT, check=True)
    archive = next(directory.glob("*.tar.gz"))
    moment = datetime.fromisoformat(subprocess.check_output(["git", "log", "-1", "--format=%cI"], cwd=ROOT, text=True).strip())
    sbom = archive.with_name(archive.name.removesuffix(".tar.gz") + ".cdx.json")
    sbom.write_text(bill(archive, moment, installed_collections()), encoding="utf-8")
    (directory / "notes.md").write_text(notes(tag.removeprefix("v")) + "\n", encoding="utf-8")
    sums = directory / "SHA256SUMS"
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (archive, sbom)))
    return [archive, sbom, sums]


def main() -> int:
    """Do what the command line says; return its exit code."""
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("check", "build"):
        print(__doc__)
        return 2
    tag = sys.argv[2]
    found = problems(tag)
    unsaved = subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT, text=True).splitlines()
    if unsaved:
        found.append(f"{len(unsaved)} files are changed and not committed; a release is what is committed.")
    if found:
        print("\n".join(found))
        return 1
    if sys.argv[1] == "build":
        for path in build(tag, Path(sys.argv[3]) if len(sys.argv) == 4 else ROOT / ".cache/release"):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
