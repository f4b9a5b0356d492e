"""Compares what a service should be with what is on the host: what a run has to build, to deploy and to clean up. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..common import stages
from ..common.failure import UNTOUCHED, Failure
from ..common.names import LABEL_DIGEST, TAG_LENGTH, service_directory
from ..common.secrets import fingerprint
from ..common.settings import BUILDX, Settings
from ..deploy import history, ownership
from ..deploy.container import create_body
from ..deploy.earlier import as_proven
from ..deploy.images import PREVIOUS, latest_for, refuse_foreign_images, remember, returnable
from ..deploy.judgement import leftovers, refuse_foreign, restarted, shortcomings, unproven
from ..deploy.limits import not_held
from ..deploy.place import elsewhere
from ..deploy.port import check_port, refuse_beside
from ..deploy.proxies import unasked_proxies
from ..engine.builder import choose
from ..engine.client import Engine, EngineUnreachable
from ..engine.records import containerd_store, health
from ..image.dockerfile import with_values, without_values
from ..image.manifest import DOCKERFILE, DOCKERIGNORE, FILE, GENERATED, Entry, content_digest, manifest_digest, read_manifest

NOT_BUILT = "the image is not built yet"
# The options of a module for a comparison.
OPTIONS: dict[str, dict[str, Any]] = {
    "settings": {"type": "dict", "required": True},
    "secrets": {"type": "str", "default": "", "no_log": True},
    "manifest": {"type": "str", "default": ""},
    "dockerfile": {"type": "str", "default": ""},
    "dockerfile_buildkit": {"type": "str", "default": ""},
    "dockerignore": {"type": "str", "default": ""},
    "continued": {"type": "dict", "default": {}},
    "base_images": {"type": "list", "elements": "str", "default": []},
    "project": {"type": "dict", "default": {}},
    "unfetched": {"type": "str", "default": ""},
    "deploy_follows": {"type": "bool", "default": False},
}
# What follows this line in the staged Dockerfile is written for each build, and is not part of the digest.
LABELS_MARK = "# Where this image comes from.\n"


def commands(settings: Settings) -> dict[str, str]:
    """Return the commands with which a person asks the service: one that shows its health and fails if it is bad, and one to try the service."""
    return {"ask": settings.try_command("-fsS"), "try_it": settings.try_command()}


def go_version(image: dict[str, Any]) -> str:
    """Return the Go version that a builder image names in its environment, "" if it names none."""
    for variable in (image.get("Config") or {}).get("Env") or []:
        if variable.startswith("GOLANG_VERSION="):
            return str(variable).partition("=")[2]
    return ""


def read_text(path: Path) -> str:
    """Return the content of a file, "" if it does not exist."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Comparison:
    """One comparison of what should be with what is on the host."""

    def __init__(self, params: dict[str, Any], entries: Sequence[Entry] | None = None, left_out: Sequence[str] = ()) -> None:
        """params: those of module prepare, the settings with their secret values. entries: the source, if it is on the host; left_out: which parts of it are
        left out.
        """
        self.params = params
        self.settings: Settings = params["settings"]
        self.name = self.settings.name
        self.directory = service_directory(self.settings)
        self.context = self.directory / "context"
        self.past = history.History(self.name)
        ownership.examine(self.directory, self.name)
        self.entries, self.left_out = list(entries or ()), list(left_out)
        # The entries of the staged context when it was read last; to read them takes long if they are many.
        self.present: list[Entry] = []
        self.manifest = params["manifest"] if entries is None else manifest_digest(self.entries)
        # The generated files in the form that the builder gets.
        self.generated = {DOCKERFILE: with_values(params["dockerfile"], self.settings), DOCKERIGNORE: params["dockerignore"]}

    def read_staged(self) -> list[Entry]:
        """Read the manifest of the staged context, without the generated files, and return it."""
        self.present = read_manifest(self.context, skip=GENERATED) if self.context.is_dir() else []
        return self.present

    def _generated_differences(self) -> list[str]:
        return [name for name, text in self.generated.items() if read_text(self.context / name).partition(LABELS_MARK)[0] != text]

    def compare(self, engine: Engine | None = None) -> dict[str, Any]:
        """Return the plan; engine: the Engine, if one answers already."""
        plan: dict[str, Any] = {
            "directory": str(self.directory),
            "context": str(self.context),
            "changes": "",
            "digest": "",
            "image": "",
            "image_id": "",
            "bases": [],
            "base_ids": {},
            "builder_go": "",
            "stage": [],
            "build": [],
            "builder": {},
            "standing": {},
            "deploy": [],
            "leftovers": [],
            "hints": [],
            "elsewhere": "",
            "container": {},
            **commands(self.settings),
            "engine": {},
            "files": len([entry for entry in self.entries if entry.kind == FILE]),
            "bytes": sum(entry.size for entry in self.entries),
            "left_out": self.left_out,
            "last_report": {},
            "unfetched": self.params["unfetched"],
        }
        try:
            engine = engine or Engine()
        except EngineUnreachable as error:
            # For a rollback, the image cannot be looked for without an Engine.
            if self.settings.image_tag:
                raise
            plan["engine"] = {"unreachable": str(error)}
            reason = (
                "no Engine runs on the host yet" if error.status == "absent" else f"the Engine of the host cannot be asked yet: {error}"
            )
            plan["build"] = [reason]
            plan["deploy"] = [reason]
            self._compare_context(plan)
            return plan
        self.past = remember(engine, self.name, self.directory)
        version = engine.version()
        plan["engine"] = {
            "version": version["Version"],
            "api_version": version["ApiVersion"],
            "architecture": version["Arch"],
            "connection": engine.address.options,
        }
        if self.settings.platform:
            self._refuse_platform(version["Arch"])
        self._compare_image(engine, plan)
        if plan["build"] and plan["digest"]:
            plan["builder"] = self.params.get("builder") or choose(engine, self.settings.builder)
            if plan["builder"]["name"] == BUILDX:
                # The digest is computed from the other Dockerfile, so that an image is the same with both builders.
                self._take({"dockerfile": self.params["dockerfile_buildkit"] or self.params["dockerfile"]})
        if plan["build"]:
            self._compare_context(plan)
        if self.settings.platform:
            self._compare_for_others(engine, plan)
            return plan
        self._compare_container(engine, plan)
        if self.params["unfetched"]:
            unknown = "whether another image has to run is not known before the source is fetched"
            plan["deploy"] = [unknown if reason == NOT_BUILT else reason for reason in plan["deploy"]]
        plan["elsewhere"] = elsewhere(engine)
        if plan["deploy"]:
            plan["hints"] = self._hints(engine, plan)
        if plan["deploy"] and self.params["deploy_follows"]:
            running = engine.container(self.name)
            refuse_beside(engine, self.settings, running)
            check_port(engine, self.settings, running)
        if self.past.report.get("digest") == plan["digest"]:
            plan["last_report"] = self.past.report
        if not plan["deploy"] and plan["last_report"].get("demands") != self.params["settings"].demands:
            asked = "go_service_budget, go_service_budget_warn_only or go_service_waivers changed"
            plan["deploy"].append(asked if plan["last_report"] else "the image was not checked against the contract on this host yet")
        return plan

    def _refuse_platform(self, own: str) -> None:
        """Raise Failure if what is asked for of an image for another platform cannot be done on this host; own: the Engine's architecture."""
        settings = self.settings
        if settings.goarch == own:
            message = f"go_service_platform is {settings.platform}, the platform of this host itself"
            raise Failure(
                stages.INPUT, message, "Leave it empty: then the image is built so that this host can prove it and run it.", UNTOUCHED
            )
        if self.params["deploy_follows"]:
            raise Failure(
                stages.INPUT,
                f"go_service_platform is {settings.platform}, but this host is linux/{own}, and cannot run such an image",
                "Let it only build the image (-e go_services_entry_point=build); playbooks/fleet.yml builds it too, and brings it to the hosts of that platform.",
                UNTOUCHED,
            )

    def _compare_for_others(self, engine: Engine, plan: dict[str, Any]) -> None:
        """Compare what is known of an image for another platform, which is not run here, with what a host of that platform may be given."""
        known = (self.past.images or {}).get(plan["image"].rpartition(":")[2], {})
        latest = engine.image(f"{self.name}:{latest_for(self.settings.platform)}") or {"Id": ""}
        if not plan["image_id"]:
            plan["deploy"].append(NOT_BUILT)
        elif (known.get("id"), known.get("checked_for")) != (plan["image_id"], self.settings.demands):
            plan["deploy"].append("the image was not checked against the contract on this host yet")
        elif latest["Id"] != plan["image_id"]:
            plan["deploy"].append(f"{self.name}:{latest_for(self.settings.platform)} is not {plan['image']}")

    def result(self, engine: Engine | None = None) -> dict[str, Any]:
        """Return the result of a module that compares; engine: the Engine, if one answers already."""
        plan = self.compare(engine)
        return {"changed": bool(plan["stage"] or plan["leftovers"]), "plan": plan, "diff": self.diff(plan)}

    def _hints(self, engine: Engine, plan: dict[str, Any]) -> list[str]:
        """Return the messages about the Engine for a person before something is deployed on it."""
        hints = [not_held(self.settings, engine.limits_not_held), unasked_proxies(self.settings)]
        if plan["elsewhere"] and self.settings.publish:
            hints.append(
                f"The service is proven inside of its container; {self.settings.publish} is not asked from here, since the Engine publishes it elsewhere: "
                f"{plan['elsewhere']}."
            )
        return [hint for hint in hints if hint]

    def _compare_context(self, plan: dict[str, Any]) -> None:
        """Compare what is staged with what a build needs. If nothing is built, nothing needs to be staged, whoever built the image."""
        if self.params["unfetched"]:
            plan["stage"].append(self.params["unfetched"])
        if not self.params["dockerfile"]:
            return
        staged = self.read_staged()
        if manifest_digest(staged) != self.manifest or not self.context.is_dir():
            plan["stage"].append("the staged source differs")
            plan["staged"] = [entry.identity for entry in staged]
        plan["stage"] += [f"{name} differs" for name in self._generated_differences()]

    def _compare_image(self, engine: Engine, plan: dict[str, Any]) -> None:
        if self.params["unfetched"]:
            plan["build"].append("whether it has to be built is not known before the source is fetched")
            return
        if not self.params["dockerfile"]:
            reference = self._tag_to_return_to(engine)
        else:
            self._choose_bases(engine)
            plan["bases"] = self.params["base_images"]
            for base in self.params["base_images"]:
                image = engine.image(base)
                if image is None:
                    plan["build"].append(f"the base image {base} is not on the host")
                else:
                    self._refuse_base(engine, base, image)
                    plan["base_ids"][base] = image["Id"]
                    plan["builder_go"] = plan["builder_go"] or go_version(image)
            if plan["build"]:
                plan["deploy"].append(NOT_BUILT)
                return
            plan["digest"] = content_digest(
                self.manifest,
                self.params["dockerfile"],
                self.params["dockerignore"],
                self.values,
                plan["base_ids"],
            )
            reference = plan["digest"][:TAG_LENGTH]
        plan["image"] = f"{self.name}:{reference}"
        refuse_foreign_images(engine, self.name, self.past, reference, latest_for(self.settings.platform))
        image = engine.image(plan["image"])
        if image:
            plan["image_id"] = image["Id"]
            if not plan["digest"]:
                # For a tag that moves, like "previous", the container is made from the image's fixed tag.
                plan["digest"] = (image["Config"].get("Labels") or {}).get(LABEL_DIGEST) or ""
                fixed = f"{self.name}:{plan['digest'][:TAG_LENGTH]}"
                if plan["digest"] and fixed in (image.get("RepoTags") or []):
                    plan["image"] = fixed
                noted = (self.past.images or {}).get(plan["image"].rpartition(":")[2], {})
                # An image that another host has built is judged like one that was built here.
                self.settings = self.settings if self.params.get("received") else as_proven(self.settings, image, noted)
                plan.update(commands(self.settings))
        elif self.params["dockerfile"]:
            plan["build"].append(f"there is no image {plan['image']} yet")
        else:
            running = (engine.container(self.name) or {}).get("Image")
            known = [
                tag for tag in returnable(engine, self.name, self.past) if (engine.image(f"{self.name}:{tag}") or {}).get("Id") != running
            ]
            raise Failure(
                stages.IMAGE,
                f"no image of {self.name} was in service before the one that runs"
                if reference == PREVIOUS
                else f"there is no image {plan['image']} on this host",
                f"Set go_service_image_tag to a tag that is there: {', '.join(known)}."
                if known
                else "No image of this service is there to go back to; build one (playbooks/build.yml).",
                UNTOUCHED,
            )

    def _refuse_base(self, engine: Engine, base: str, image: dict[str, Any]) -> None:
        """Raise Failure if the base of an image for another platform is for a third one.

        Containerd's store shows the host's own one of several platforms under a name; there, the builder alone notices it.
        """
        of_another = base == self.params["base_images"][1] and image.get("Architecture") != self.settings.goarch
        if self.settings.platform and of_another and not containerd_store(engine.info()):
            raise Failure(
                stages.BASE,
                f"{base}, the base of the image for {self.settings.platform}, is an image for {image.get('Os')}/{image.get('Architecture')}",
                f"Remove that name (docker rmi {base}), and let the role base_images get the right one.",
                UNTOUCHED,
            )

    def _choose_bases(self, engine: Engine) -> None:
        """If not all base images are there, go on with the first stand-ins that are, and with the Dockerfile that is based on them."""
        of_params = {key: self.params[key] for key in ("base_images", "dockerfile", "dockerfile_buildkit")}
        for choice in [of_params, *self.params.get("instead", ())]:
            if all(engine.image(base) for base in choice["base_images"]):
                self._take(choice)
                return

    def _take(self, choice: dict[str, Any]) -> None:
        """Go on with another Dockerfile and the data that belong to it."""
        self.params = {**self.params, **choice}
        self.generated[DOCKERFILE] = with_values(choice["dockerfile"], self.settings)

    @cached_property
    def values(self) -> str:
        """Return a word that differs where values of the build's variables and arguments do."""
        return fingerprint({kind: values for kind in ("build_env", "build_args") if (values := getattr(self.settings, kind))}, self.name)

    def _tag_to_return_to(self, engine: Engine) -> str:
        """Return the tag of the image to go back to; with `previous`, first that of an earlier rollback that was interrupted."""
        wanted, returning = self.settings.image_tag, self.past.returning
        return returning if wanted == PREVIOUS and returning and engine.image(f"{self.name}:{returning}") else wanted

    def _compare_container(self, engine: Engine, plan: dict[str, Any]) -> None:
        settings = self.settings
        found = refuse_foreign(engine, self.name)
        plan["leftovers"] = leftovers(engine, self.name)
        asked = {"go_service_network": (settings.network,), "go_service_networks": settings.networks}
        for variable, network in [(variable, network) for variable, networks in asked.items() for network in networks]:
            if network not in ("bridge", "host", "none") and not engine.network_exists(network):
                raise Failure(
                    stages.NETWORK,
                    f"there is no network {network} on this host ({variable})",
                    f"Create it (docker network create {network}), or choose another.",
                    UNTOUCHED,
                )
        sources = [volume.split(":")[0] for volume in settings.volumes if volume[0] == "/"]
        missing = [source for source in sources if not engine.has_path(source)]
        if missing:
            raise Failure(
                stages.VOLUMES,
                f"{', '.join(missing)} does not exist on the machine of the Engine (go_service_volumes)",
                "Create it, readable for the service's user, or correct the path.",
                UNTOUCHED,
            )
        if not plan["image_id"]:
            plan["deploy"].append(NOT_BUILT)
        if not found:
            plan["deploy"].append("there is no container yet")
            return
        plan["container"] = {
            "id": found["Id"],
            "image": found["Config"]["Image"],
            "image_id": found["Image"],
            "status": found["State"]["Status"],
            "health": health(found).get("Status", ""),
            "started_at": found["State"]["StartedAt"],
        }
        if not plan["image_id"]:
            return
        record = engine.image(plan["image_id"])
        body = create_body(settings, plan["image"], engine.api_version, record, engine.limits_not_held)
        reasons = shortcomings(engine, found, body, plan["image_id"])
        told = restarted(found, self.past.container) if reasons else unproven(engine, found, self.past.container)
        plan["deploy"] += [*reasons, *filter(None, [told])]
        latest = engine.image(f"{self.name}:latest")
        if not latest or latest["Id"] != plan["image_id"]:
            plan["deploy"].append(f"{self.name}:latest is not {plan['image']}")

    def diff(self, plan: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what a run with --diff shows for this plan."""
        shown = []
        # Secret values are not shown; if only one of them has changed, the reasons below say so.
        wanted = {DOCKERFILE: self.params["dockerfile"], DOCKERIGNORE: self.params["dockerignore"]}
        for name, text in wanted.items():
            before = without_values(read_text(self.context / name).partition(LABELS_MARK)[0])
            if text and before != text:
                shown.append({"before_header": f"{self.context}/{name}", "after_header": name, "before": before, "after": text})
        reasons = [f"{kind}: {reason}\n" for kind in ("stage", "build", "deploy") for reason in plan[kind]]
        if plan["builder"]:
            reasons.append(f"builder: {': '.join(filter(None, plan['builder'].values()))}\n")
        reasons += [f"clean up: {name}\n" for name in plan["leftovers"]]
        if reasons:
            shown.append({"before_header": "service", "after_header": "what a run does", "before": "", "after": "".join(reasons)})
        return shown
