"""An image goes to a registry and comes from it by its digest; whatever happens, no name of the registry's stays on the host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import EngineError
from ansible_collections.proven.go_service.plugins.module_utils.engine.transfer import OtherImage, RegistryRefuses, pull, push

SETTINGS: Any = SimpleNamespace(name="web", registry="r:5000/team", registry_ca="", registry_credentials={})
THERE = "r:5000/team/web"


class Engine:
    """An Engine with one image, and a registry."""

    def __init__(self, refuses: str = "", comes: str = "sha256:one") -> None:
        self.names: set[str] = set()
        self._refuses, self._comes = refuses, comes

    def tag(self, _image: str, repository: str, tag: str) -> None:
        self.names.add(f"{repository}:{tag}")

    def remove_image(self, reference: str) -> bool:
        self.names.discard(reference)
        return True

    def push_image(self, repository: str, tag: str, _credentials: dict[str, str]) -> str:
        assert f"{repository}:{tag}" in self.names
        if self._refuses:
            raise EngineError(self._refuses)
        return "sha256:manifest"

    def pull_image(self, repository: str, digest: str, _credentials: dict[str, str]) -> None:
        if self._refuses:
            raise EngineError(self._refuses)
        self.names.add(f"{repository}@{digest}")

    def image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": self._comes} if reference in self.names else None


def test_a_push_leaves_nothing_on_the_host() -> None:
    engine = Engine()
    assert push(engine, SETTINGS, "sha256:one", "1", "2") == "sha256:manifest"
    assert engine.names == set()


def test_a_pull_leaves_the_services_own_name() -> None:
    engine = Engine()
    pull(engine, SETTINGS, "sha256:manifest", "sha256:one", "1")
    assert engine.names == {"web:1"}


def test_another_image_gets_no_name() -> None:
    engine = Engine(comes="sha256:two")
    with pytest.raises(OtherImage, match="under sha256:manifest"):
        pull(engine, SETTINGS, "sha256:manifest", "sha256:one", "1")
    assert engine.names == set()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("unauthorized: authentication required", "go_service_registry_credentials"),
        ("denied: requested access to the resource is denied", "go_service_registry_credentials"),
        ("x509: certificate signed by unknown authority", "go_service_registry_ca"),
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ("manifest unknown", "was removed there"),
        ("dial tcp 10.0.0.1:5000: connect: connection refused", "Make sure that the host reaches the registry"),
    ],
)
def test_what_a_registry_says_is_told_with_its_remedy(said: str, remedy: str) -> None:
    engine = Engine(refuses=said)
    with pytest.raises(RegistryRefuses, match=said.partition(":")[0]) as told:
        push(engine, SETTINGS, "sha256:one", "1")
    assert remedy in told.value.remedy and engine.names == set()
    with pytest.raises(RegistryRefuses):
        pull(engine, SETTINGS, "sha256:manifest", "sha256:one", "1")
