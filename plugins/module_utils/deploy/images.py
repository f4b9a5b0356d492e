"""Recognises the role's own images, moves tags, and removes old images.

A label proves nothing: an image that somebody built FROM one of the role's images has its labels, too. The role made an image if the history of the service
names it, or if the image's own last instruction is the one with which the role ends each Dockerfile. `own_references` are those of its tags that the role gave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..common.failure import UNTOUCHED, Failure
from ..common.names import KIND_BUILDER, KIND_IMAGE, LABEL_DIGEST, LABEL_KIND, LABEL_NAME, TAG_LENGTH
from ..common.settings import PLATFORMS
from ..common.stages import IMAGE
from ..engine.client import Engine
from ..engine.records import parse_time
from .builds import in_order, instruction
from .history import History, read

MOVING = LATEST, PREVIOUS = ("latest", "previous")


def latest_for(platform: str) -> str:
    """Return the tag of the newest image that was built here for another platform, which only hosts of that platform can run; "latest" for no other one."""
    return f"{LATEST}-{platform.rpartition('/')[2]}" if platform else LATEST


_LATEST_ELSEWHERE = tuple(map(latest_for, PLATFORMS))


def _labels(image: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of an inspected image, or of one of the Engine's list."""
    return (image.get("Config") or image).get("Labels") or {}


def tags(image: Mapping[str, Any]) -> list[str]:
    """Return the tags of an image of the Engine's list, which older Engines give a word even where there are none."""
    return [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]


def labels_builder(made_by: str) -> bool:
    """Say whether an instruction is the LABEL that marks a build stage as the service's: services share the layers before it."""
    return "LABEL" in made_by and f"{LABEL_KIND}={KIND_BUILDER}" in made_by


def _steps(engine: Engine, image: Mapping[str, Any]) -> list[str]:
    """Return the instructions of an image, the last one first."""
    return [instruction(step) for step in engine.history(image["Id"])]


def is_ours(engine: Engine, image: Mapping[str, Any], name: str, history: History) -> bool:
    """Say whether the role made an image for this service; image: inspected, or from the Engine's list."""
    if image["Id"] in [known["id"] for known in (history.images or {}).values()]:
        return True
    labels = _labels(image)
    digest = labels.get(LABEL_DIGEST) or ""
    if (labels.get(LABEL_NAME), labels.get(LABEL_KIND)) != (name, KIND_IMAGE) or not re.match(r"\A[0-9a-f]{64}\Z", digest):
        return False
    steps = _steps(engine, image)
    said = [step for step in steps if "LABEL" in step and f"{LABEL_DIGEST}=" in step]
    binary = [step for step in steps if "COPY" in step and f"/usr/local/bin/{name}" in step]
    return said == steps[:1] and f"{LABEL_DIGEST}={digest}" in said[0] and len(binary) == 1


# The steps of the classic builder for the image itself, between the label with the service's name and the LABEL by which the role recognises its images.
_UNFINISHED = re.compile(
    r"/bin/sh -c #\(nop\) +(?:ENV PORT=|WORKDIR |EXPOSE |STOPSIGNAL |USER |HEALTHCHECK |ENTRYPOINT |COPY |LABEL org\.opencontainers\.image\.version=).*"
    r"|/bin/sh -c mkdir -p .* && chown .*",
    re.S,
)


def is_unfinished(engine: Engine, image: Mapping[str, Any], name: str) -> bool:
    """Say whether an untagged image is the unfinished image that an interrupted build of this service left, or, in containerd's store, that every build leaves."""
    labels = _labels(image)
    if tags(image) or (labels.get(LABEL_NAME), labels.get(LABEL_KIND)) != (name, KIND_IMAGE) or labels.get(LABEL_DIGEST):
        return False
    steps = _steps(engine, image)
    began = next((number for number, step in enumerate(steps) if "LABEL" in step and f"{LABEL_KIND}={KIND_IMAGE}" in step), None)
    return began is not None and f"{LABEL_NAME}={name} " in steps[began] and all(map(_UNFINISHED.fullmatch, steps[:began]))


# The steps of a stage that the classic builder did not finish before the whole source was copied, for instance because modules could not be downloaded: the
# role's own compiling and downloading, and copying of the files that name modules.
_BEFORE_THE_SOURCE = re.compile(
    r"/bin/sh -c #\(nop\) +(?:(?:ENV|ARG|WORKDIR) .*|COPY \w+:\w+ in (?:\./|vendor/|/tmp/|/src/\S+) *)"
    r"|(?:\|\d+ .*)?/bin/sh -c (?:go mod download|go build .* touch -t 20370102.*|printf '%s\\n' .*BEGIN CERTIFICATE.*|mkdir -p .*GOMODCACHE.* go mod download) *",
    re.S,
)


def is_our_builder_stage(engine: Engine, image: Mapping[str, Any], name: str) -> bool:
    """Say whether an untagged image is the build stage that a build of this service left, either complete or interrupted."""
    steps = _steps(engine, image)
    began = [number for number, step in enumerate(steps) if labels_builder(step)]
    if len(began) != 1 or f"{LABEL_NAME}={name} " not in steps[began[0]] + " ":
        return False
    own = steps[: began[0]]
    if own and all(map(_BEFORE_THE_SOURCE.fullmatch, own)):
        return True
    # An image that somebody built FROM it ends with another instruction, or has one of its steps a second time.
    return in_order(own, [step for step in own if "go build -ldflags=" in step and f" -o /out/{name} " in step])


def _builder_stages(engine: Engine, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the records of the images of a service's build stage, the newest first, for each architecture that they compile for, "" for the host's own."""
    stages = [image for image in engine.images(dangling=True, name=name, kind=KIND_BUILDER) if is_our_builder_stage(engine, image, name)]
    found: dict[str, list[dict[str, Any]]] = {}
    for listed in sorted(stages, key=lambda image: (-image["Created"], image["Id"])):
        image = engine.image(listed["Id"]) or listed
        variables = dict(variable.partition("=")[::2] for variable in (image.get("Config") or {}).get("Env") or ())
        found.setdefault(variables.get("GOARCH", ""), []).append(image)
    return found


def builder_stage(engine: Engine, name: str, goarch: str = "") -> dict[str, Any] | None:
    """Return the record of the newest image of a service's build stage, None if there is none: BuildKit keeps the stage only in its cache.

    goarch: the architecture that it compiles for, "" for the host's own.
    """
    return next(iter(_builder_stages(engine, name).get(goarch, ())), None)


def own_references(name: str, image: Mapping[str, Any]) -> list[str]:
    """Return those tags of one of the role's images that the role itself gave."""
    given = {f"{name}:{tag}" for tag in ((_labels(image).get(LABEL_DIGEST) or "")[:TAG_LENGTH], *MOVING, *_LATEST_ELSEWHERE)}
    return sorted(given.intersection(image.get("RepoTags") or []))


def refuse_foreign_images(engine: Engine, name: str, history: History, *tags: str) -> None:
    """Raise Failure if a tag that a run needs is on an image that the role did not make."""
    for tag in dict.fromkeys((*tags, *MOVING)):
        image = engine.image(f"{name}:{tag}")
        if image and not is_ours(engine, image, name, history):
            raise Failure(
                IMAGE,
                f"the name {name}:{tag} is held by an image that this role did not make: id {image['Id'][7:19]}, made {image['Created'][:19]}",
                f"Give it another name (docker tag {name}:{tag} {name}-old:{tag}; docker rmi {name}:{tag}), or choose another go_service_name. "
                "It was not touched.",
                UNTOUCHED,
            )


def adopt(engine: Engine, name: str, history: History) -> None:
    """Add the images of an earlier version, or of another user's runs, to a history that has none yet, so that a rollback to them is possible."""
    if history.images is None:
        found = [image for image in engine.images(dangling=False, name=name, kind=KIND_IMAGE) if is_ours(engine, image, name, history)]
        history.images = {_labels(image)[LABEL_DIGEST][:TAG_LENGTH]: {"id": image["Id"], "proven": True} for image in found}


def remember(engine: Engine, name: str, directory: Path) -> History:
    """Return what earlier runs of a service did, with the images that it adopts; directory: the service's on this host."""
    past = read(engine, name, directory)
    adopt(engine, name, past)
    return past


def returnable(engine: Engine, name: str, history: History) -> list[str]:
    """Return the tags of the images to which a rollback is possible: those that were proven and are still there, the newest first."""
    return [tag for tag, known, _image in _recorded(engine, name, history) if known["proven"]]


def _recorded(engine: Engine, name: str, history: History) -> list[tuple[str, dict, dict]]:
    """Return (tag, entry in the history, image) of the recorded images that are still there, the newest first."""
    found = []
    for tag, known in (history.images or {}).items():
        image = engine.image(f"{name}:{tag}")
        if image and known["id"] in ("", image["Id"]) and is_ours(engine, image, name, history):
            found.append((tag, known, image))
    return sorted(found, key=lambda one: (-parse_time(one[2]["Created"]), one[2]["Id"]))


def promote(engine: Engine, name: str, image_id: str, history: History, *, back: bool = False) -> bool:
    """Move `latest` to an image, and `previous` to the one that was in service before it; return whether a tag moved.

    back: this is a rollback. The images after that one no longer count as earlier ones, so the next rollback goes further back.
    """
    latest = engine.image(f"{name}:{LATEST}")
    moves = latest is None or latest["Id"] != image_id
    known = history.images or {}
    own = next((tag for tag, entry in known.items() if entry["id"] == image_id), "")
    if not any("turn" in entry for entry in known.values()):
        _take_turns_from_tags(engine, name, known)
    turn = known.get(own, {}).get("turn")
    for entry in known.values():
        if back and turn and entry.get("turn", 0) > turn:
            del entry["turn"]
    if own and not (turn and (back or not moves)):
        known[own]["turn"] = 1 + max((entry.get("turn", 0) for entry in known.values()), default=0)
    before = latest
    if own:
        turns = {tag: entry["turn"] for tag, entry in known.items() if "turn" in entry and tag != own}
        line = [engine.image(f"{name}:{tag}") for tag in sorted(turns, key=turns.__getitem__)]
        before = next((image for image in reversed(line) if image and image["Id"] != image_id), None)
    elif not moves:
        return False
    # Also if `latest` is already right: a killed run may have moved only that tag.
    previous = engine.image(f"{name}:{PREVIOUS}")
    if before and (previous is None or previous["Id"] != before["Id"]):
        engine.tag(before["Id"], name, PREVIOUS)
    if moves:
        engine.tag(image_id, name, LATEST)
    if previous and not before:
        engine.remove_image(f"{name}:{PREVIOUS}")
    return moves


def _take_turns_from_tags(engine: Engine, name: str, known: dict[str, dict]) -> None:
    """Record the order in which images were in service, if the history has none yet: `previous` came before `latest`."""
    for turn, moving in enumerate((PREVIOUS, LATEST), 1):
        held = (engine.image(f"{name}:{moving}") or {}).get("Id")
        for entry in known.values():
            if held and entry["id"] == held:
                entry["turn"] = turn


def _ids(engine: Engine, name: str, wanted: Iterable[str]) -> list[str]:
    """Return the ids of the images that have one of these tags."""
    return [image["Id"] for tag in wanted if (image := engine.image(f"{name}:{tag}"))]


def prune(engine: Engine, name: str, keep: int, in_use: str, history: History, *, platform: str = "") -> list[str]:
    """Remove the recorded images beyond `keep` proven ones, untagged ones, and all build stages except the newest of each architecture.

    The images that were in service last are kept, rather than newer ones: after a rollback, the image that was left is newer than the one in service.
    Images that `latest` or `previous` names or that a container runs stay, and so does the newest one for another platform, and each tag that somebody
    else gave. Removed images are deleted from the history. Returns the removed references.

    platform: another one, of whose images alone those go that have a name; "" for all images.
    """
    removed = []
    protected = {in_use, *_ids(engine, name, MOVING)}
    elsewhere = set(_ids(engine, name, _LATEST_ELSEWHERE))
    recorded = sorted(_recorded(engine, name, history), key=lambda one: -one[1].get("turn", 0))
    kept = 0
    for tag, known, image in recorded:
        if image["Id"] in protected | elsewhere or (platform and known.get("platform") != platform):
            continue
        if known["proven"] and kept + len(protected) < keep:
            kept += 1
        elif engine.remove_image(f"{name}:{tag}"):
            removed.append(f"{name}:{tag}")
    # An image loses its tag when somebody removes the tag by hand, or when the same content is built again with another id.
    nameless = [
        image
        for image in engine.images(dangling=True, name=name, kind=KIND_IMAGE)
        if image["Id"] not in protected | elsewhere and (is_ours(engine, image, name, history) or is_unfinished(engine, image, name))
    ]
    # The newest build stage contains the compiled packages that make the next build fast.
    older = [image for stages in _builder_stages(engine, name).values() for image in stages[1:]]
    removed += [image["Id"][7:19] for image in [*older, *nameless] if engine.remove_image(image["Id"])]
    left = {tag for tag, _known, _image in recorded if f"{name}:{tag}" not in removed}
    history.images = {tag: known for tag, known in (history.images or {}).items() if tag in left}
    return removed
