"""The image of a service that a host has proven and may give to other hosts, with what is known about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..common.failure import UNTOUCHED, Failure
from ..common.names import LABEL_DIGEST, OCI, TAG_LENGTH
from ..common.stages import IMAGE
from ..engine.client import Engine
from ..engine.records import containerd_store, layers
from .images import LATEST, latest_for, refuse_foreign_images, remember

_BUILD = "Build and prove it there first (playbooks/build.yml, or playbooks/fleet.yml without a --limit that leaves this host out)."


def proven_image(engine: Engine, name: str, directory: Path, wanted: str = LATEST, platform: str = "") -> dict[str, Any]:
    """Return the image that is in service, or that `wanted` names by its tag; raise Failure if it did not pass the contract on this host.

    platform: another one than this host's; then it is the newest image that was built here for it. Since it cannot run here, it has passed the contract
    as far as that can be judged without running it, and the host that gets it has to prove it.

    The result: tag (from the content digest), id, digest, version, architecture, size in bytes, layers (the digests of their tar archives), containerd
    (whether the Engine keeps images in containerd's store), and from the records of this host: `with` (the settings that it was built with), provenance, sbom.
    """
    past = remember(engine, name, directory)
    wanted = latest_for(platform) if platform else wanted
    refuse_foreign_images(engine, name, past, wanted)
    image = engine.image(f"{name}:{wanted}")
    if image is None:
        asked = f"no image of {name} is in service on this host" if wanted == LATEST else f"there is no image {name}:{wanted} on this host"
        asked = f"no image of {name} for {platform} was built on this host" if platform else asked
        raise Failure(IMAGE, asked, _BUILD, UNTOUCHED)
    labels = (image.get("Config") or {}).get("Labels") or {}
    digest = labels.get(LABEL_DIGEST) or ""
    tag = digest[:TAG_LENGTH]
    known = (past.images or {}).get(tag) or {}
    passed = known.get("platform") == platform if platform else known.get("proven")
    if not tag or known.get("id") != image["Id"] or not passed:
        raise Failure(
            IMAGE, f"the image {name}:{wanted} was not checked against the contract on this host, or did not pass it", _BUILD, UNTOUCHED
        )
    if f"{name}:{tag}" not in (image.get("RepoTags") or []):
        # Somebody removed its tag; its content digest still identifies it.
        engine.tag(image["Id"], name, tag)
    report = past.report if past.report.get("digest") == digest else {}
    return {
        "tag": tag,
        "id": image["Id"],
        "digest": digest,
        "version": labels.get(OCI + "version") or "",
        "architecture": image.get("Architecture") or "",
        "size": image.get("Size") or 0,
        "layers": layers(image),
        "containerd": containerd_store(engine.info()),
        "with": known.get("with") or {},
        "provenance": known.get("provenance") or report.get("provenance") or {},
        "sbom": report.get("sbom") or known.get("sbom") or {},
    }
