"""The candidate: a container that is proven before anything of the service is touched.

If it ran beside the old container, it runs on beside the new one until that is proven as well: so a crash in the first seconds is noticed without
any extra waiting.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..common.failure import UNTOUCHED, Failure, NoHealthCheck
from ..common.names import candidate_name
from ..common.settings import Settings
from ..common.stages import CANDIDATE, IMAGE
from ..engine.client import Engine, EngineError
from ..engine.records import health, health_test
from .container import candidate_body
from .port import HOST, refuse_beside
from .proof import NotProven, Proof, Unwatched, how_it_ended, last_words, listens_inside_only, prove_by_engine
from .remedies import of_engine, refused, remedy_for

T = TypeVar("T")
# What programs print if another program has locked their data (flock(2), SQLite, bbolt, Badger, LevelDB).
_LOCKED = re.compile(
    r"resource temporarily unavailable|is locked|already locked|\block(?:ed)? by|another (?:process|instance)|acquire .*\block|already in use by|: timeout$",
    re.I,
)

_RECREATE = "Set go_service_deploy_strategy: recreate, which stops the old container first and brings it back if the new one fails."


def prove_candidate(engine: Engine, settings: Settings, image: str, look: Callable[[str], T]) -> tuple[Proof, T]:
    """Start a candidate from an image and prove it; return its proof and what `look` found. If that fails, remove the candidate and raise Failure.

    The service's own container is not touched. look: called with the candidate's id as soon as it is healthy, while it has yet to stay so.
    """
    name = candidate_name(settings.name)
    record = engine.image(image)
    if record is None:
        raise Failure(
            IMAGE, f"there is no image {image} on this host", "Build it first (playbooks/build.yml, or tasks_from: build).", UNTOUCHED
        )
    if health_test(record) is None:
        raise NoHealthCheck(image)
    old = engine.container(settings.name)
    refuse_beside(engine, settings, old)
    again, passed = True, False
    try:
        while True:
            engine.remove(name)
            interruptions = engine.interruptions
            try:
                proof = _healthy_candidate(engine, settings, image, record)
                found = look(proof.container_id)
                proven = prove_by_engine(engine, proof.container_id, 0, settings.stable_seconds, proof)
                passed = True
                return proven, found
            except NotProven as failure:
                # If the Engine's daemon is restarted, the candidate may end, or the Engine may stop its health checks.
                if again and (isinstance(failure, Unwatched) or engine.interruptions > interruptions):
                    again = False
                    continue
                message = f"the candidate of {image} failed: {failure.message}"
                remedy = of_engine(engine.info(), settings, [failure.message, *failure.evidence], _remedy(failure, settings, old))
                raise Failure(CANDIDATE, message, remedy, UNTOUCHED, failure.evidence) from failure
    except EngineError as error:
        remedy = refused(error.message, settings, error.remedy)
        if not error.stage:
            remedy = of_engine(engine.info(), settings, [error.message], remedy)
        raise Failure(error.stage or CANDIDATE, error.message, remedy, UNTOUCHED) from error
    finally:
        if not passed:
            drop_candidate(engine, settings)


def _writable(settings: Settings) -> list[str]:
    """Return what a container with these settings may write to: paths of the host, and names of volumes."""
    return [
        source
        for source, _target, *options in (volume.split(":") for volume in settings.volumes)
        if "ro" not in ",".join(options).split(",")
    ]


def _shared(settings: Settings, old: Mapping[str, Any] | None) -> list[str]:
    """Return what both the candidate and the running old container may write to."""
    if not old or not old["State"]["Running"]:
        return []
    held = {mount.get("Name") or mount.get("Source") for mount in old.get("Mounts") or [] if mount.get("RW")}
    return [source for source in _writable(settings) if source in held]


def may_run_on(settings: Settings, old: Mapping[str, Any] | None) -> bool:
    """Say whether a proven candidate may run on beside the new container: only if it already shared everything that both use with the old container.

    If it did not share something so far, the new container may be unable to share it: for instance data that the service locks. The host's ports
    can never be shared.
    """
    running = bool(old and old["State"]["Running"])
    return running and settings.network != HOST and len(_shared(settings, old)) == len(_writable(settings))


def remedy_beside(settings: Settings, failure: Failure) -> str:
    """Return what to do about a new container that failed beside its candidate: the candidate may have something open that the old container had not."""
    if not _writable(settings) or not any(_LOCKED.search(line) for line in failure.evidence):
        return failure.remedy
    return f"Its candidate, which ran on beside it, had {', '.join(_writable(settings))} open, and the service locks its data. {_RECREATE}"


def _remedy(failure: NotProven, settings: Settings, old: Mapping[str, Any] | None) -> str:
    """Return what to do about a candidate that failed; it may have failed because the old container has its data open."""
    shared = ", ".join(_shared(settings, old))
    if not shared:
        return failure.remedy
    if any(_LOCKED.search(line) for line in failure.evidence):
        return f"The running container has {shared} open, and the service locks its data. {_RECREATE}"
    return f"{failure.remedy} The running container has {shared} mounted too. If the service locks its data: {_RECREATE}"


def drop_candidate(engine: Engine, settings: Settings) -> None:
    """Remove the candidate. If the Engine refuses, try once more, since nothing else looks for the candidate before the next run."""
    name = candidate_name(settings.name)
    with contextlib.suppress(EngineError):
        try:
            engine.remove(name)
        except EngineError:
            engine.remove(name)


class Watch:
    """What becomes of a proven candidate that runs on."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._name = candidate_name(settings.name)
        self._interruptions = engine.interruptions

    def check(self) -> None:
        """Raise NotProven if the candidate has ended or become unhealthy. If the Engine was restarted meanwhile, that may have ended it."""
        container = self._engine.container(self._name)
        if container is None or self._engine.interruptions > self._interruptions:
            return
        failure = None
        if not container["State"]["Running"]:
            failure = how_it_ended(self._engine, container)
        elif health(container).get("Status") == "unhealthy":
            evidence = last_words(self._engine, container)
            failure = NotProven("it became unhealthy", remedy_for(evidence), evidence)
        if failure:
            failure.message = f"its candidate, which ran on beside it, did not last: {failure.message}"
            raise failure


def _healthy_candidate(engine: Engine, settings: Settings, image: str, record: Mapping[str, Any]) -> Proof:
    """Make a candidate of an image, which the Engine has a record of, and wait until it is healthy; raise NotProven otherwise."""
    container_id = engine.create(
        candidate_name(settings.name), candidate_body(settings, image, engine.api_version, record, engine.limits_not_held)
    )
    try:
        engine.start(container_id)
    except EngineError:
        container = engine.container(container_id)
        if container is None or not container["State"].get("Error"):
            raise
        failure = how_it_ended(engine, container)
        failure.remedy = refused(container["State"]["Error"], settings, failure.remedy)
        raise failure from None
    proof = prove_by_engine(engine, container_id, settings.start_timeout, 0)
    if settings.publish and listens_inside_only(engine, container_id, settings):
        raise NotProven(
            f"it is healthy inside, but refuses connections from outside on port {settings.port}: it listens only on its own loopback address",
            'Make the service listen on all addresses (":port" or "0.0.0.0:port") by go_service_args or go_service_env.',
            last_words(engine, engine.container(container_id) or {"Id": container_id}),
        )
    return proof
