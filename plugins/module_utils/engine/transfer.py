"""An image goes to a registry, and comes from one by its digest, through the Engine of the host."""

from __future__ import annotations

import contextlib

from ..common.failure import Problem
from ..common.settings import Settings
from ..common.stages import TRANSFER
from .client import Engine, EngineError
from .trust import trust

# What the Engine and registries say -> what to do about it.
_REMEDIES = (
    (
        ("unauthorized", "authentication required", "no basic auth", "denied", "answers 401", "answers 403"),
        "Give go_service_registry_credentials ({username, password}) of an account that may push or pull there, or run docker login on the host.",
    ),
    (
        ("x509", "certificate", "tls:"),
        "Give the authority of the registry's certificate in go_service_registry_ca, and name the registry as its certificate does.",
    ),
    (
        ("server gave http response to https client",),
        "Let the registry speak TLS, or name it in the Engine's insecure-registries (daemon.json), which leaves it open to everybody on the way.",
    ),
    (
        ("not found", "manifest unknown"),
        "See that the registry still has it: what was removed there is pushed again by a run with the build host.",
    ),
)
_OTHERWISE = "See that the host reaches the registry (go_service_registry), that it has space, and what its log says; then run again."


class RegistryRefuses(Problem):
    """A registry refuses, or is out of reach, as the Engine or the registry itself says."""

    stage = TRANSFER

    def __init__(self, message: str) -> None:
        said = message.lower()
        super().__init__(message, next((remedy for words, remedy in _REMEDIES if any(word in said for word in words)), _OTHERWISE))


class OtherImage(Problem):
    """What came is not the image that was proven."""

    stage = TRANSFER
    remedy = "See that both Engines keep images in the same kind of store (docker info, driver-type), then run again."


def repository(settings: Settings) -> str:
    """Return the repository of a service in its registry."""
    return f"{settings.registry}/{settings.name}"


def push(engine: Engine, settings: Settings, image: str, *tags: str) -> str:
    """Push an image under tags and return its digest there. No name of the registry's stays on the host."""
    trust(engine, settings.registry, settings.registry_ca)
    there, digest = repository(settings), ""
    try:
        for tag in tags:
            engine.tag(image, there, tag)
            try:
                digest = engine.push_image(there, tag, settings.registry_credentials)
            finally:
                with contextlib.suppress(EngineError):
                    engine.remove_image(f"{there}:{tag}")
    except EngineError as error:
        raise RegistryRefuses(str(error)) from error
    return digest


def pull(engine: Engine, settings: Settings, digest: str, expected: str, tag: str) -> None:
    """Pull an image by its digest and give it the service's own name with a tag; raise where it is not the expected one by its id.

    No name of the registry's stays on the host.
    """
    trust(engine, settings.registry, settings.registry_ca)
    there = f"{repository(settings)}@{digest}"
    try:
        engine.pull_image(repository(settings), digest, settings.registry_credentials)
        came = str((engine.image(there) or {}).get("Id") or "")
        if came == expected:
            engine.tag(came, settings.name, tag)
        engine.remove_image(there)
    except EngineError as error:
        raise RegistryRefuses(str(error)) from error
    if came != expected:
        raise OtherImage(f"the registry has the image {came[7:19]} under {digest}, and the build host has proven {expected[7:19]}")
