"""Containers that a build of the classic builder has left, since the Engine ended meanwhile: they keep the images of its steps."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.files import read_own
from ..common.names import APPLYING, KIND_BUILDER, LABEL_KIND, LABEL_NAME
from ..engine.client import Engine

_NAME = re.compile(r"\A/[a-z]+_[a-z]+[0-9]?\Z")


def _instructions(dockerfile: str) -> str:
    """Return a Dockerfile in one line, in the form of the classic builder's commands."""
    return " ".join(dockerfile.replace("\\\n", " ").split())


def is_ended_step(container: Mapping[str, Any], name: str, dockerfile: str) -> bool:
    """Say whether a container is a step of an interrupted build of the service.

    container: inspected; dockerfile: the staged one, by which the step of a build that went on from another one is known too. A container that somebody ran
    from a build stage has its labels, but runs another command.
    """
    config = container["Config"]
    labels, command = config.get("Labels") or {}, config.get("Cmd") or []
    step = command[2] if len(command) == 3 and command[:2] == ["/bin/sh", "-c"] else ""
    ours = labels.get(LABEL_NAME) == name and labels.get(LABEL_KIND) == KIND_BUILDER and bool(step)
    known = step.startswith("#(nop) ") or " ".join(step.removeprefix(APPLYING).split()) in _instructions(dockerfile)
    made_by_a_build = config["Image"].startswith("sha256:") and bool(_NAME.match(container["Name"]))
    return ours and known and made_by_a_build and container["State"]["Status"] in ("created", "exited", "dead")


def ended_steps(engine: Engine, name: str, directory: Path) -> Iterator[str]:
    """Yield the ids of the containers that interrupted builds of the service have left; directory: what the role keeps of the service on the host."""
    dockerfile = ""
    with contextlib.suppress(OSError, UnicodeError):
        dockerfile = read_own(directory / "context/Dockerfile")
    for listed in engine.containers(name=name, kind=KIND_BUILDER):
        container = engine.container(listed["Id"])
        if container and is_ended_step(container, name, dockerfile):
            yield container["Id"]
