"""Pushes an image to a registry, and pulls one by its digest, through the Engine of the host."""

from __future__ import annotations

import contextlib

from ..common.failure import Problem
from ..common.settings import Settings
from ..common.stages import TRANSFER
from .client import Engine, EngineError
from .trust import trust

# Messages of the Engine and of registries -> what to do.
_REMEDIES = (
    (
        ("unauthorized", "authentication required", "no basic auth", "denied", "answers 401", "answers 403"),
        "Give go_service_registry_credentials ({username, password}) of an account that may push or pull there, or run docker login on the host.",
    ),
    (
        ("x509", "certificate", "tls:"),
        "Give the certificate authority of the registry in go_service_registry_ca, and use the name of the registry that is in its certificate.",
    ),
    (
        ("server gave http response to https client",),
        "Let the registry use TLS, or name it in the Engine's insecure-registries (daemon.json); then everybody on the network path can read and change the traffic.",
    ),
    (
        ("not found", "manifest unknown"),
        "Check whether the registry still has the image: if it was removed there, a run with the build host pushes it again.",
    ),
)
_OTHERWISE = "Make sure that the host reaches the registry (go_service_registry) and that the registry has free space, look at its log, then run again."


class RegistryRefuses(Problem):
    """A registry refuses, or cannot be reached, according to the Engine or to the registry itself."""

    stage = TRANSFER

    def __init__(self, message: str) -> None:
        said = message.lower()
        super().__init__(message, next((remedy for words, remedy in _REMEDIES if any(word in said for word in words)), _OTHERWISE))


class OtherImage(Problem):
    """The image that arrived is not the one that was proven."""

    stage = TRANSFER
    remedy = "Make sure that both Engines keep images in the same kind of store (docker info, driver-type), then run again."


def repository(settings: Settings) -> str:
    """Return the repository of a service in its registry."""
    return f"{settings.registry}/{settings.name}"


def push(engine: Engine, settings: Settings, image: str, *tags: str) -> str:
    """Push an image under tags and return its digest there. No tag with the registry's name stays on the host."""
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
    """Pull an image by its digest and tag it with the service's own name; raise OtherImage if its id is not the expected one.

    No tag with the registry's name stays on the host.
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
        raise OtherImage(f"the registry has the image {came[7:19]} under {digest}, but the build host has proven {expected[7:19]}")
