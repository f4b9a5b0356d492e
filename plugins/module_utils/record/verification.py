"""An image is proven by a candidate container and held to the contract, before anything of the service is touched."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..common.failure import UNTOUCHED, Failure, NoHealthCheck
from ..common.names import LABEL_DIGEST, LABEL_STAND_IN, OCI, service_directory
from ..common.references import digest_of
from ..common.secrets import mask, secret_values
from ..common.settings import Settings
from ..common.stages import CONTRACT
from ..common.text import visible
from ..contract import judge
from ..contract.evidence.collect import collect
from ..contract.evidence.image_archive import ArchiveError
from ..contract.evidence.model import BinaryFacts, Evidence
from ..contract.expected import Expected
from ..contract.names import FAIL
from ..engine.client import Engine
from . import modules, provenance, sbom
from .facts import facts

# Takes the Engine, the settings, the image's reference and what looks into the candidate; returns the proof, which has `start_seconds`, and what was found.
Prove = Callable[[Engine, Settings, str, Callable[[str], Evidence]], "tuple[Any, Evidence]"]


class ContractBroken(Failure):
    """An image breaks the contract. verified: what was measured, as `verify` returns it."""

    def __init__(self, image: str, verified: dict[str, Any], violations: list[str]) -> None:
        """violations: a sentence for each check that failed."""
        healthy = "is healthy, but " if verified["start_seconds"] is not None else ""
        super().__init__(CONTRACT, f"the image {image} {healthy}breaks the contract", judge.REMEDY, UNTOUCHED, violations)
        self.verified = verified


def verify(engine: Engine, params: Mapping[str, Any], prove: Prove) -> dict[str, Any]:
    """Verify an image.

    :param params: the options of the module deploy; `earlier`: whether the image was proven before and is returned to; `received`:
        whether another host has built it; `demands`: what is asked of it,
        as one word; `sbom_before`: the bill of materials of the run before, {} for none; `modules_in_builder`: asks the service's builder stage
        about modules, as `modules.gather` wants it; `provenance_before`: where this very image comes from, as the run that built it knew, {} for unknown.
    :param prove: what proves an image by a candidate, `deploy.candidate.prove_candidate`.
    :returns: what its documentation says of `verify`.
    :raises WaiverError: a waiver names no check, or gives no reason.
    :raises Failure: the candidate does not prove itself; ContractBroken where the contract is not met.
    """
    began = time.monotonic()
    settings, reference = params["settings"], params["image"]
    proof = refusal = None
    try:
        proof, found = prove(engine, settings, reference, lambda container_id: examine(engine, params, container_id))
    except NoHealthCheck as unprovable:
        # It is held to the contract as it lies there, which names what is missing.
        refusal, found = unprovable, examine(engine, params)
    verified = judged(engine, params, found, proof.start_seconds if proof else None, began=began)
    if refusal:
        raise refusal
    return verified


def examine(engine: Engine, params: Mapping[str, Any], container_id: str = "") -> Evidence:
    """Return what can be known of an image, and of a container of it where one is given; params: as `verify` takes them."""
    settings, reference = params["settings"], params["image"]
    base = _base_of(engine, reference) or params["bases"][1]
    try:
        binary = f"/usr/local/bin/{settings.name}"
        return collect(
            engine,
            reference,
            container_id,
            base_image_ref=base,
            binary_path=binary,
            earlier=params["earlier"] or params["received"],
            vulnerability_database=settings.vulnerability_database,
        )
    except (ArchiveError, tarfile.TarError, OSError) as error:
        raise Failure.of(error, CONTRACT, UNTOUCHED) from error


def judged(
    engine: Engine, params: Mapping[str, Any], found: Evidence, start_seconds: float | None, *, candidate: bool = True, began: float
) -> dict[str, Any]:
    """Hold evidence to the contract; raise ContractBroken if it breaks it.

    :param start_seconds: how long the container took until healthy, None if none was started.
    :param candidate: whether that was a candidate.
    :param began: since when it is worked on, monotonic.
    :returns: what the module deploy returns under `verify`.
    """
    settings, reference = params["settings"], params["image"]
    found = replace(found, dockerfile=params["dockerfile"] or None, binary=_without_secrets(found.binary, settings))
    expected = Expected.from_settings(
        settings,
        candidate=candidate,
        source_date=params["source_date"],
        start_seconds=start_seconds,
        build_seconds=params["build"].get("seconds"),
        build_cached=bool(params["build"].get("cached")),
    )
    results = judge.evaluate(found, expected, settings.waivers)
    builder = _builder(engine, params["bases"][0], settings)
    document = sbom.cyclonedx(
        found,
        service=settings.name,
        base_name=settings.runtime_image,
        builder=builder,
        modules=_modules(params, found),
    )
    statement = _provenance(params, found, builder)
    verified = {
        "digest": found.image.labels.get(LABEL_DIGEST, ""),
        "verdict": judge.verdict(results),
        "demands": params["demands"],
        "checked_at": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "start_seconds": start_seconds,
        "seconds": round(time.monotonic() - began, 2),
        # What files, labels and linters are called is anybody's text.
        "facts": visible(facts(found, expected, results, document, statement)),
        "sbom": document,
        "provenance": visible(statement),
    }
    if verified["verdict"] == FAIL:
        raise ContractBroken(reference, verified, judge.failures(results))
    return verified


def _modules(params: Mapping[str, Any], found: Evidence) -> dict[str, modules.ModuleFacts]:
    """Return what is known of the modules in the service's executable; params: as `verify` takes them."""
    settings: Settings = params["settings"]
    return modules.gather(
        found.binary.build_info if found.binary else None,
        # Of an image that is returned to another source may be staged, of one that was received none is.
        source=None if params["earlier"] or params["received"] else (service_directory(settings) / "context", settings.module_dir),
        before=params["sbom_before"],
        builder_stage=params["modules_in_builder"],
    )


def _without_secrets(binary: BinaryFacts | None, settings: Settings) -> BinaryFacts | None:
    """Return what is known of a binary without the secret values that GOFLAGS may have left in its build settings."""
    if binary is None or binary.build_info is None:
        return binary
    hidden = secret_values(vars(settings))
    # The other settings are Go's own words, like GOARCH=arm64, and no foreign text.
    kept = {name: mask(value, hidden) if name.startswith("-") else value for name, value in binary.build_info.settings.items()}
    return replace(binary, build_info=replace(binary.build_info, settings=kept))


def _base_of(engine: Engine, reference: str) -> str:
    """Return the base that an image says it is made from, "" if it says none: an image that is returned to may have had another."""
    labels = ((engine.image(reference) or {}).get("Config") or {}).get("Labels") or {}
    return labels.get(OCI + "base.name", "")


def _builder(engine: Engine, reference: str, settings: Settings) -> dict[str, str]:
    """Return the builder image as the bill of materials and the provenance name it."""
    image = engine.image(reference) or {}
    stand_in = ((image.get("Config") or {}).get("Labels") or {}).get(LABEL_STAND_IN) == "true"
    return {
        "reference": reference,
        "digest": digest_of(image.get("RepoDigests"), image.get("Id", "")),
        "stand_in_for": settings.builder_image if stand_in else "",
    }


def _provenance(params: Mapping[str, Any], found: Evidence, builder: Mapping[str, str]) -> dict[str, Any]:
    """Return where an image comes from, {} if nobody knows any more: only the run that builds it sees what it is built with."""
    if params["provenance_before"] and not params["build"]:
        return dict(params["provenance_before"])
    if params["earlier"] or params["received"]:
        return {}
    return provenance.statement(found, params["settings"], builder=builder, built_by=params["build"].get("builder", ""))
