"""A service as its source and its settings describe it: what module prepare compares with the host."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..module_utils.common.credentials import ALWAYS_DENIED
from ..module_utils.common.references import without_platform
from ..module_utils.common.settings import BUILDX, Settings
from ..module_utils.image.context import read_context
from ..module_utils.image.continued import basis
from ..module_utils.image.dockerfile import caches, dockerfile_facts
from ..module_utils.image.ignore import check_embedded, let_back, literal
from ..module_utils.image.leftovers import Leftovers
from ..module_utils.image.manifest import FILE, Entry, manifest_digest
from ..module_utils.source.facts import project_facts
from ..module_utils.source.versions import check_builder
from . import templates
from .source_place import directory_on_controller


@dataclass
class Description:
    """asked: options of module prepare, the same in all of its modes. project: the Go facts of the source. root: where it is on the controller, None if it
    is elsewhere; entries: the files that the builder sees; left_out: the messages about files that it does not see."""

    asked: dict[str, Any]
    project: dict[str, Any] = field(default_factory=dict)
    root: Path | None = None
    entries: list[Entry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def size(self) -> dict[str, int]:
        """Number of files, and their size in bytes."""
        return {"files": len([entry for entry in self.entries if entry.kind == FILE]), "bytes": sum(entry.size for entry in self.entries)}

    def choose(self, bases: Sequence[str]) -> None:
        """Use these names of base images from now on: those that were asked for, or their stand-ins."""
        for choice in self.asked.pop("instead", ()):
            if choice["base_images"] == list(bases):
                self.asked.update(choice)
        self.asked["base_images"] = list(bases)

    def complete(self, plan: dict[str, Any], settings: Settings, base_images: Mapping[str, Any], began: float) -> None:
        """Add to a plan what the controller knows; raise SourceError if the builder's Go is too old for the source.

        base_images: in the form that `names_of_bases` takes. began: when the look began, from time.monotonic.
        """
        builder, runtime = (base_images.get(reference) or {} for reference in (settings.builder_image, settings.runtime_base))
        if plan["builder_go"] and self.project:
            check_builder(self.project, plan["builder_go"], settings.builder_image, stand_in=bool(builder.get("stand_in")))
        if self.root is not None:
            plan.update(self.size)
        plan.update(
            project=self.project,
            bases=names_of_bases(settings, base_images),
            stand_in=bool(builder.get("stand_in") or runtime.get("stand_in")),
            dockerfile=self.asked.get("dockerfile_buildkit" if plan["builder"].get("name") == BUILDX else "dockerfile", ""),
            lock="",
            seconds=round(time.monotonic() - began, 2),
        )

    @property
    def mark(self) -> str:
        """A fingerprint that distinguishes two descriptions. It is not secret: it uses the names of secret variables, not their values."""
        told = {name: value for name, value in self.asked.items() if name != "secrets"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def names_of_bases(settings: Settings, base_images: Mapping[str, Any]) -> list[str]:
    """Return the names of the builder and the runtime base in the Engine; base_images: reference -> {"image": reference to use instead}."""
    return [(base_images.get(reference) or {}).get("image") or reference for reference in (settings.builder_image, settings.runtime_base)]


def of_source(
    settings: Settings,
    asked: Mapping[str, Any],
    bases: Sequence[Sequence[str]],
    places: Sequence[str],
    *,
    ignored: Mapping[str, Any],
) -> Description:
    """Describe a service whose source is on the controller; raise an error if the source has a fault.

    asked: options that do not depend on the source. bases: names of the builder and the runtime base, and of their possible stand-ins, the best first.
    places: the directories of the inventory and of the playbook. ignored: the lists of the .dockerignore template.
    """
    root = directory_on_controller(settings.source, *places)
    project = project_facts(root, settings)
    generated = [generate(settings, project, names, ignored) for names in bases]
    leftovers = Leftovers(root, settings, project)
    entries, dockerignore = read_context(root, generated[0]["dockerignore"], settings, project, leftovers)
    kinds = ("dockerfile", "dockerfile_buildkit")
    instead = [{"base_images": list(names), **{kind: files[kind] for kind in kinds}} for names, files in zip(bases[1:], generated[1:])]
    described = {
        **asked,
        "base_images": list(bases[0]),
        **generated[0],
        "dockerignore": dockerignore,
        "project": project,
        "manifest": manifest_digest(entries),
        **({"instead": instead} if instead else {}),
    }
    return Description(described, project, root, entries, leftovers.told())


def generate(settings: Settings, project: Mapping[str, Any], bases: Sequence[str], ignored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the generated files: the Dockerfile from which the digest is computed, the same with caches for BuildKit, and .dockerignore; and, under
    `continued`, what decides whether a build may go on from the last one."""
    facts = dockerfile_facts(project, settings)
    variables = {
        "settings": settings.as_json(),
        "builder_image": bases[0],
        "runtime_image": bases[1],
        "base_name": without_platform(bases[1], settings.platform) if settings.platform else bases[1],
        "let_back": [],
        "caches": {},
        "always_denied": ALWAYS_DENIED,
        **ignored,
        **facts,
    }
    dockerignore = templates.text("dockerignore.j2", **variables)
    kept_out = let_back(project, dockerignore)
    if kept_out:
        dockerignore = templates.text("dockerignore.j2", **{**variables, "let_back": [literal(path) for path in kept_out]})
        check_embedded(project, dockerignore)
    cached = {**variables, "caches": caches(project, settings)}
    return {
        "dockerfile": templates.text("Dockerfile.j2", **variables),
        "dockerfile_buildkit": templates.text("Dockerfile.j2", **cached),
        "dockerignore": dockerignore,
        "continued": basis(project, facts, settings),
    }
