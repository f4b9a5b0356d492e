#!/usr/bin/python
"""Ansible module: let a build read private Go modules."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: private_modules
short_description: Let a build read private Go modules
description:
  - For BuildKit it writes, for the duration of the build, the script with which the step that downloads modules reads them.
  - For the classic builder, which cannot mount a secret, it downloads the modules in a container of the builder image, and puts them into the build context.
    They are kept for the next build, and downloaded again only if C(go.mod) or C(go.sum) changed.
  - Run by M(proven.go_service.build); not meant to be called alone.
attributes:
  check_mode: {support: none, description: It is not run in check mode.}
  diff_mode: {support: none, description: What it writes is secret or large.}
  idempotent: {support: full, description: Existing modules are kept.}
options:
  state:
    description: V(present) before a build, V(absent) after it; V(kept) downloads them to O(archive), for hosts without a network.
    type: str
    choices: [present, absent, kept]
    required: true
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  secrets:
    description: The values of secret variables, packed by C(common/secrets.py); the settings have their names alone. Not needed with O(state=absent).
    type: str
    default: ""
  project:
    description: The Go facts of the source, as M(proven.go_service.prepare) returns them. Not needed with O(state=kept).
    type: dict
    default: {}
  builder_image:
    description: The image in which the service is compiled, with the name that it has on the host.
    type: str
    required: true
  archive:
    description: Archive of the modules on this host, which V(present) takes instead of a download, and which V(kept) writes.
    type: path
    default: ""
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Let the build read private modules
  proven.go_service.private_modules:
    state: present
    settings: "{{ __go_service_record.settings }}"
    project: "{{ __go_service_record.plan.project }}"
    builder_image: golang:1.27-alpine3.24
"""

RETURN = r"""
access:
  description: Path of the script with which the build reads the modules; empty if they are in the build context.
  type: str
  returned: success
code:
  description: Exit code of the download, 0 if it succeeded or none was needed.
  type: int
  returned: success
printed:
  description: The last lines that the download printed, without secret values.
  type: list
  elements: str
  returned: success
"""

import contextlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common.failure import UNTOUCHED, Problem, Progress, ending
from ..module_utils.common.files import write_text
from ..module_utils.common.names import KIND_CANDIDATE, LABEL_KIND, LABEL_NAME, candidate_name, service_directory
from ..module_utils.common.secrets import mask, secret_values
from ..module_utils.common.settings import Settings
from ..module_utils.common.stages import BUILD
from ..module_utils.common.text import visible
from ..module_utils.deploy.lock import working
from ..module_utils.deploy.ownership import ACCESS, MODULES
from ..module_utils.deploy.proxies import of_builds
from ..module_utils.engine import errand
from ..module_utils.engine.client import Engine, EngineError, EngineUnreachable
from ..module_utils.image import module_access
from ..module_utils.image.module_access import ARCHIVE, CACHE, DOWNLOAD, FETCH, KEY, PLACE, key_of
from ..module_utils.source.facts import project_facts

_LINES = 20
_DOWNLOADED = f"{CACHE}/cache/download"


class OtherModules(Problem):
    """The archive of modules was made for another source."""

    stage = BUILD
    remedy = (
        "Write the bundle anew on a machine where the service was built from this very source (make bundle), or vendor its modules (go mod vendor), or "
        "remove go_service_build_modules if the build can download them."
    )


def repack(stream: IO[bytes], target: Path, key: str) -> None:
    """Write the modules of a module cache to a reproducible archive, so that a builder finds its cached layer again.

    stream: the archive of the cache's `download` directory; locks and records of the checksum database are left out.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".staging-")
    try:
        with (
            os.fdopen(descriptor, "wb") as out,
            tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={KEY: key}) as made,
            tarfile.open(fileobj=stream, mode="r|*") as found,
        ):
            for entry in found:
                content = found.extractfile(entry) if entry.isfile() else None
                if content is None or entry.name.endswith(".lock") or entry.name.startswith("download/sumdb/"):
                    continue
                kept = tarfile.TarInfo(f"cache/{entry.name}")
                kept.size, kept.mode = entry.size, 0o644
                made.addfile(kept, content)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def errand_of(settings: Settings, project: dict[str, Any], builder_image: str, files: dict[str, bytes]) -> errand.Errand:
    """Return the job of a container that downloads the modules of a source; files: those that determine the modules, by their paths in the source."""
    environment = {
        **of_builds(),
        **settings.build_args,
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOTOOLCHAIN": "local",
        **settings.build_env,
        "GOMODCACHE": CACHE,
    }
    return errand.Errand(
        image=builder_image,
        environment=environment,
        network=settings.build_network,
        directory=os.path.normpath(f"/src/{project['module_dir']}"),
        files={f"/src/{path}": content for path, content in files.items()},
        memory=PLACE,
        program=module_access.trust(settings.ca_certificates) + "\n" + module_access.program(settings.build_secrets),
        command=DOWNLOAD,
        seconds=settings.build_timeout,
        labels={LABEL_NAME: settings.name, LABEL_KIND: KIND_CANDIDATE},
    )


def download(settings: Settings, asked: errand.Errand, target: Path, key: str) -> tuple[int, list[str]]:
    """Download the modules of a source to an archive, in a container; return its exit code and what it printed."""

    def write(stream: IO[bytes]) -> None:
        repack(stream, target, key)

    try:
        code, printed = errand.run(Engine(), candidate_name(settings.name), asked, _DOWNLOADED, write)
    except EngineUnreachable:
        raise
    except EngineError as error:
        return -1, str(error).splitlines()
    return code, printed


def brought(archive: Path, kept: Path, key: str) -> None:
    """Use an archive of modules that came from the controller; raise OtherModules if it was made for another source."""
    if key_of(archive) != key:
        raise OtherModules("the modules of go_service_build_modules were made for another go.mod or go.sum than this source has")
    shutil.copyfile(archive, kept)


def keep(settings: Settings, builder_image: str, target: Path) -> dict[str, Any]:
    """Download the modules of the source that is staged here to an archive, if its build needs any."""
    context = service_directory(settings) / "context"
    project = project_facts(context, settings)
    if not module_access.needs_modules(project):
        return {"access": "", "code": 0, "printed": []}
    files = dict(module_access.module_files(context))
    key = module_access.modules_key(files, project["module_dir"])
    target.parent.mkdir(parents=True, exist_ok=True)
    code, printed = download(settings, errand_of(settings, project, builder_image, files), target, key)
    if code:
        raise Problem(
            "the modules of the service could not be downloaded", "Make sure that its build can download them here.", printed[-_LINES:]
        )
    return {"access": "", "code": 0, "printed": []}


def present(settings: Settings, project: dict[str, Any], builder_image: str, archive: str = "") -> dict[str, Any]:
    """Let the build read its modules; return the module's result."""
    directory = service_directory(settings)
    if module_access.way(settings, project) != FETCH:
        write_text(directory / ACCESS, module_access.program(settings.build_secrets), 0o600)
        return {"access": str(directory / ACCESS), "code": 0, "printed": []}
    kept, context = directory / MODULES, directory / "context"
    files = dict(module_access.module_files(context))
    key = module_access.modules_key(files, project["module_dir"])
    code = 0
    printed: list[str] = []
    if settings.build_modules:
        brought(Path(archive), kept, key)
    elif key_of(kept) != key:
        code, printed = download(settings, errand_of(settings, project, builder_image, files), kept, key)
    if code == 0:
        os.replace(kept, context / ARCHIVE)
    return {"access": "", "code": code, "printed": visible(mask(printed, secret_values(vars(settings))))}


def absent(settings: Settings) -> None:
    """Remove what only a build needs; downloaded modules are kept for the next build."""
    directory = service_directory(settings)
    with contextlib.suppress(FileNotFoundError):
        (directory / ACCESS).unlink()
    with contextlib.suppress(FileNotFoundError):
        os.replace(directory / "context" / ARCHIVE, directory / MODULES)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent", "kept"], "required": True},
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "str", "default": "", "no_log": True},
            "project": {"type": "dict", "default": {}},
            "archive": {"type": "path", "default": ""},
            "builder_image": {"type": "str", "required": True},
        },
    )
    os.umask(0o077)
    result = {"access": "", "code": 0, "printed": []}
    if module.params["state"] == "absent":
        # The module gets no secret values in this state.
        absent(Settings.from_json(module.params["settings"]))
        module.exit_json(changed=False, **result)
    with ending(module, Progress(BUILD, UNTOUCHED), {}) as params, working(params["settings"].name):
        if params["state"] == "kept":
            result = keep(params["settings"], params["builder_image"], Path(params["archive"]))
        else:
            result = present(params["settings"], params["project"], params["builder_image"], params["archive"])
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
