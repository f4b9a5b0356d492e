"""Which builder makes an image: the Engine's classic builder, or BuildKit through the client's plugin buildx."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from ..common.failure import OWN_STORE, UNTOUCHED, Failure
from ..common.settings import BUILDX, CLASSIC
from ..common.stages import BUILD
from .client import Engine

_SECONDS = 30
_REFUSED = (404, 405, 410, 501)
# How an Engine without the classic builder answers, in moby's usual words, and how an answer of BuildKit itself begins.
_WORDS = re.compile(r"buildkit|buildx|\b(classic|legacy|v1) builder|invalid version", re.I)
# If the builder looked for its Dockerfile, it exists.
_LOOKED = re.compile(r"(docker|container)file", re.I)


def refusal(engine: Engine) -> str:
    """Return the Engine's message if it does not offer the classic builder, "" if it does.

    No version and no header tells this: `Builder-Version` of `/_ping` is what the Engine recommends, "2" on Linux since 23, where the classic builder
    is still there. So the Engine is asked to build from an empty context, in the same way as by docker_image: the classic builder ends at once, because
    there is no Dockerfile, and makes nothing. After an answer that is not understood, the builder that the user chose is used.
    """
    status, text = engine.ask_classic_builder()
    if _WORDS.search(text) or (status in _REFUSED and not _LOOKED.search(text)):
        return " ".join(text.split())[:200]
    return ""


def has_buildx() -> bool:
    """Say whether the Docker client of this host has the plugin, which docker_image_build calls."""
    try:
        return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False, timeout=_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def own_store() -> str:
    """Return the driver of the builder that buildx would use, "" if that is the Engine's own builder, or not known."""
    try:
        done = subprocess.run(
            ["docker", "buildx", "inspect"], capture_output=True, check=False, timeout=_SECONDS, encoding="utf-8", errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"^Driver:\s*(\S+)", done.stdout, re.M)
    return found[1] if found and found[1] != "docker" else ""


def file_of_stage(context: Path, dockerfile: str, path: str, network: str, seconds: float) -> bytes:
    """Return a file that the last stage of a Dockerfile holds, made by BuildKit, b"" if that fails or takes longer than `seconds`.

    This makes no image. BuildKit takes steps that it has already done from its cache.

    context: the build context. path: in that stage, without a slash before it. network: as go_service_build_network.
    """
    command = ["docker", "buildx", "build", "--file", "-", "--output", "type=tar,dest=-"]
    command += [] if network == "default" else ["--network", network]
    env = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with contextlib.suppress(OSError, tarfile.TarError, KeyError):
        with subprocess.Popen([*command, str(context)], stdin=pipe, stdout=pipe, stderr=null, env=env, start_new_session=True) as build:
            try:
                archive, _none = build.communicate(dockerfile.encode("utf-8", "surrogateescape"), timeout=seconds)
            except BaseException as error:
                # The plugin is a separate process.
                os.killpg(build.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    return b""
                raise
        if build.returncode == 0:
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                found = files.extractfile(path)
                return found.read() if found else b""
    return b""


def choose(engine: Engine, wanted: str) -> dict[str, Any]:
    """Return {"name": builder, "reason": why it is not the wanted one}; raise Failure if neither can build.

    :param wanted: go_service_builder.
    """
    words = refusal(engine) if wanted == CLASSIC else ""
    if wanted != BUILDX and not words:
        return {"name": wanted, "reason": ""}
    reason = f"this Engine does not offer the classic builder ({words})" if words else ""
    if has_buildx():
        driver = own_store()
        if driver:
            raise Failure(BUILD, f"the builder that docker buildx uses has the driver {driver}, not the Engine's own", OWN_STORE, UNTOUCHED)
        return {"name": BUILDX, "reason": reason}
    why = reason or "go_service_builder is buildx"
    raise Failure(
        BUILD,
        f"{why}, and the Docker client of this host lacks the plugin buildx, by which BuildKit builds",
        "Install it on the host (the package docker-buildx, or docker-buildx-plugin of Docker's own packages)"
        + (", or set go_service_builder: docker_image." if not words else "."),
        UNTOUCHED,
    )
