"""Proves an image with a candidate container and checks it against the contract, before anything of the service is touched."""

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

# Takes the Engine, the settings, the image's reference and a function that examines the candidate; returns the proof, which has `start_seconds`, and the
# result of that function.
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

    :param params: the options of the module deploy; `earlier`: whether this is a rollback to an image that was proven before; `received`:
        whether another host has built it; `demands`: a fingerprint of the budgets and waivers; `sbom_before`: the bill of materials of the run before,
        {} for none; `modules_in_builder`: asks the service's build stage about modules, for `modules.gather`; `provenance_before`: where this
        very image comes from, from the run that built it, {} if that is not known.
    :param prove: the function that proves an image with a candidate, `deploy.candidate.prove_candidate`.
    :returns: what the module's documentation describes as `verify`.
    :raises WaiverError: a waiver names no check, or gives no reason.
    :raises Failure: the candidate does not prove itself; ContractBroken where the contract is not met.
    """
    began = time.monotonic()
    settings, reference = params["settings"], params["image"]
    proof = refusal = None
    try:
        proof, found = prove(engine, settings, reference, lambda container_id: examine(engine, params, container_id))
    except NoHealthCheck as unprovable:
        # Only the image is checked against the contract, which names what is missing.
        refusal, found = unprovable, examine(engine, params)
    verified = judged(engine, params, found, proof.start_seconds if proof else None, began=began)
    if refusal:
        raise refusal
    return verified


def examine(engine: Engine, params: Mapping[str, Any], container_id: str = "") -> Evidence:
    """Return the evidence of an image, and of its container if one is given; params: as in `verify`."""
    settings, reference = params["settings"], params["image"]
    # Where an image for another platform is built, its base has another name than it has for the hosts that run the image.
    base = ("" if settings.platform else _base_of(engine, reference)) or params["bases"][1]
    try:
        binary = f"/usr/local/bin/{settings.name}"
        return collect(
            engine,
            reference,
            container_id,
            base_image_ref=base,
            binary_path=binary,
            # Of an image for another platform the base is here, but the Engine may show the host's own one under its name.
            earlier=bool(params["earlier"] or params["received"] or settings.platform),
            vulnerability_database=settings.vulnerability_database,
        )
    except (ArchiveError, tarfile.TarError, OSError) as error:
        raise Failure.of(error, CONTRACT, UNTOUCHED) from error


def judged(
    engine: Engine, params: Mapping[str, Any], found: Evidence, start_seconds: float | None, *, candidate: bool = True, began: float
) -> dict[str, Any]:
    """Judge evidence by the contract; raise ContractBroken if a check fails.

    :param start_seconds: how long the container took until healthy, None if none was started.
    :param candidate: whether that was a candidate.
    :param began: when this work began, monotonic.
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
        # Names of files, labels and messages of linters may be any text.
        "facts": visible(facts(found, expected, results, document, statement)),
        "sbom": document,
        "provenance": visible(statement),
    }
    if verified["verdict"] == FAIL:
        raise ContractBroken(reference, verified, judge.failures(results))
    return verified


def _modules(params: Mapping[str, Any], found: Evidence) -> dict[str, modules.ModuleFacts]:
    """Return what is known about the modules in the service's executable; params: as in `verify`."""
    settings: Settings = params["settings"]
    return modules.gather(
        found.binary.build_info if found.binary else None,
        # For a rollback, another source may be staged; for a received image, none is.
        source=None if params["earlier"] or params["received"] else (service_directory(settings) / "context", settings.module_dir),
        before=params["sbom_before"],
        builder_stage=params["modules_in_builder"],
    )


def _without_secrets(binary: BinaryFacts | None, settings: Settings) -> BinaryFacts | None:
    """Return what is known about a binary, without the secret values that GOFLAGS may have left in its build settings."""
    if binary is None or binary.build_info is None:
        return binary
    hidden = secret_values(vars(settings))
    # The other settings are Go's own, like GOARCH=arm64, and not text of others.
    kept = {name: mask(value, hidden) if name.startswith("-") else value for name, value in binary.build_info.settings.items()}
    return replace(binary, build_info=replace(binary.build_info, settings=kept))


def _base_of(engine: Engine, reference: str) -> str:
    """Return the base image that an image names, "" if it names none: an earlier image may have had another base."""
    labels = ((engine.image(reference) or {}).get("Config") or {}).get("Labels") or {}
    return labels.get(OCI + "base.name", "")


def _builder(engine: Engine, reference: str, settings: Settings) -> dict[str, str]:
    """Return the builder image in the form for the bill of materials and the provenance."""
    image = engine.image(reference) or {}
    stand_in = ((image.get("Config") or {}).get("Labels") or {}).get(LABEL_STAND_IN) == "true"
    return {
        "reference": reference,
        "digest": digest_of(image.get("RepoDigests"), image.get("Id", "")),
        "stand_in_for": settings.builder_image if stand_in else "",
    }


def _provenance(params: Mapping[str, Any], found: Evidence, builder: Mapping[str, str]) -> dict[str, Any]:
    """Return where an image comes from, {} if that is no longer known: only the run that builds an image knows with what it is built."""
    if params["provenance_before"] and not params["build"]:
        return dict(params["provenance_before"])
    if params["earlier"] or params["received"]:
        return {}
    return provenance.statement(found, params["settings"], builder=builder, built_by=params["build"].get("builder", ""))
