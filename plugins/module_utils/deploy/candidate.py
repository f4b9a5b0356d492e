"""The candidate: a container that is proven before anything of the service is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..common.failure import UNTOUCHED, Failure, NoHealthCheck
from ..common.names import candidate_name
from ..common.stages import CANDIDATE, IMAGE
from ..engine.client import Engine, EngineError
from ..engine.records import health_test
from .container import candidate_body
from .proof import NotProven, Proof, Unwatched, how_it_ended, last_words, listens_inside_only, prove_by_engine
from .remedies import refused

T = TypeVar("T")


def prove_candidate(engine: Engine, settings: Mapping[str, Any], image: str, look: Callable[[str], T]) -> tuple[Proof, T]:
    """Start a candidate from an image and prove it; return its proof and what `look` found. Raise Failure otherwise.

    The candidate is gone in any case, and the service's own container is not touched. look: called with the candidate's id as soon as it is
    healthy, while it has yet to stay so.
    """
    name = candidate_name(settings["name"])
    record = engine.image(image)
    if record is None:
        raise Failure(
            IMAGE, f"there is no image {image} on this host", "Build it first (playbooks/build.yml, or tasks_from: build).", UNTOUCHED
        )
    if health_test(record) is None:
        raise NoHealthCheck(image)
    again = True
    try:
        while True:
            engine.remove(name)
            interruptions = engine.interruptions
            try:
                proof = _healthy_candidate(engine, settings, image)
                found = look(proof.container_id)
                return prove_by_engine(engine, proof.container_id, 0, settings["stable_seconds"], proof), found
            except NotProven as failure:
                # An Engine whose daemon is restarted may take the candidate along, or end its health tests.
                if again and (isinstance(failure, Unwatched) or engine.interruptions > interruptions):
                    again = False
                    continue
                message = f"the candidate of {image} failed: {failure.message}"
                raise Failure(CANDIDATE, message, failure.remedy, UNTOUCHED, failure.evidence) from failure
    except EngineError as error:
        remedy = refused(error.message, settings, error.remedy)
        raise Failure(error.stage or CANDIDATE, error.message, remedy, UNTOUCHED) from error
    finally:
        _discard(engine, name)


def _discard(engine: Engine, name: str) -> None:
    """Remove a candidate. An Engine that refuses is asked once more, since nobody looks for it before the next run."""
    with contextlib.suppress(EngineError):
        try:
            engine.remove(name)
        except EngineError:
            engine.remove(name)


def _healthy_candidate(engine: Engine, settings: Mapping[str, Any], image: str) -> Proof:
    """Make a candidate and wait until it is healthy; raise NotProven otherwise."""
    container_id = engine.create(candidate_name(settings["name"]), candidate_body(settings, image, engine.api_version))
    try:
        engine.start(container_id)
    except EngineError:
        container = engine.container(container_id)
        if container is None or not container["State"].get("Error"):
            raise
        failure = how_it_ended(engine, container)
        failure.remedy = refused(container["State"]["Error"], settings, failure.remedy)
        raise failure from None
    proof = prove_by_engine(engine, container_id, settings["start_timeout"], 0)
    if settings["publish"] and listens_inside_only(engine, container_id, settings):
        raise NotProven(
            f"it is healthy inside, but refuses connections from outside on port {settings['port']}: it listens on its own loopback address alone",
            'Make the service listen on all addresses (":port" or "0.0.0.0:port") by go_service_args or go_service_env.',
            last_words(engine, engine.container(container_id) or {"Id": container_id}),
        )
    return proof
