"""Action plugin: look at Engine, base images and all services of a host at once, by one module run, and find out which services are as they should be.

Of such a service the report is written, and nothing else is done. Whatever is not so, a mistake in a variable or an Engine that does not answer, is left to
the tasks that see to it: they meet it again, and tell it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..module_utils.common import stages
from ..module_utils.common.settings import Settings
from ..plugin_utils import base_images, summary
from ..plugin_utils.description import Description, names_of_bases, of_source
from ..plugin_utils.input import settings_of
from ..plugin_utils.report.writing import write
from ..plugin_utils.stage_action import PREPARE, StageAction
from ..plugin_utils.variables import SERVICE, given

MODULE = "proven.go_service.look"


class ActionModule(StageAction):
    """See the module's documentation. Options: wanted, the fact base_images_wanted; ignored: the lists of the .dockerignore template."""

    stage = stages.LOOK
    next_module = PREPARE

    def service(self, args: Mapping[str, Any]) -> str:
        """Return what a failure is about: this is done for no service alone."""
        del args
        return "go_services"

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what was seen."""
        self._began, wanted = time.monotonic(), args["wanted"]
        services = self._templar.template(self._task_vars["__go_service_list"])
        if not isinstance(services, list) or self._templar.template(self._task_vars["__go_service_entry_point"]) != "main":
            services = None
        described = [] if services is None else list(self._descriptions(services or [{}], _choices(wanted), args["ignored"]))
        asked = [known[1].asked for known in described if known]
        looked = self._execute_module(module_name=MODULE, module_args={"services": asked}, task_vars=self._task_vars)
        result: dict[str, Any] = {
            "changed": False,
            "ready": False,
            "missing": [],
            "base_images": {},
            "seen": {},
            "unchanged": [],
            "outcomes": [],
            "record": {},
        }
        if looked.get("failed") or not looked["ready"]:
            return result
        bases = base_images.resolve(looked["images"], wanted["names"], wanted["source"], wanted["fallback"])
        result.update(ready=True, base_images=bases, missing=[name for name, base in bases.items() if not base["id"]])
        compared = iter(looked["compared"])
        for number, known in enumerate(described):
            seen = next(compared) if known else None
            if known and seen and not result["missing"]:
                self._judge(result, number, *known, seen)
        return result

    def _descriptions(
        self, services: Sequence[Any], choices: Sequence[Mapping[str, Any]], ignored: Mapping[str, Any]
    ) -> Iterator[tuple[Settings, Description] | None]:
        """Yield the settings and the description of each service, None for one that cannot be looked at from here, or not yet."""
        for service in services:
            try:
                self._given = given({**self._task_vars, SERVICE: service}, self._templar.template)
                settings = settings_of(self._given, self._templar.template, reports=True)
                if settings.source_type != "controller" and not settings.image_tag:
                    yield None
                    continue
                asked = {"settings": settings.as_json(), "secrets": self.secrets(), "deploy_follows": True}
                bases = [names_of_bases(settings, choice) for choice in choices]
                if settings.image_tag:
                    yield settings, Description({**asked, "base_images": bases[0]})
                    continue
                yield settings, of_source(settings, asked, bases, self.places(), ignored=ignored)
            except Exception:
                yield None

    def _judge(self, result: dict[str, Any], number: int, settings: Settings, described: Description, seen: dict[str, Any]) -> None:
        """Add a service to the result: as one that is as it should be, or what was seen of it."""
        names, plan = names_of_bases(settings, result["base_images"]), seen["plan"]
        if not settings.image_tag and plan["bases"] != names:
            return
        described.choose(names)
        if plan["build"] or plan["deploy"] or plan["leftovers"]:
            result["seen"][settings.name] = {"mark": described.mark, **seen}
            return
        try:
            plan.pop("staged", None)
            described.complete(plan, settings, result["base_images"], self._began)
            record: dict[str, Any] = {part: {} for part in ("build", "verify", "deploy", "failure", "report")}
            record.update(settings=settings.as_json(), plan=plan)
            record["report"] = write(
                {
                    "report": summary.report_document(record),
                    "dir": settings.report_dir,
                    "host": self.host(),
                    "service": settings.name,
                    "sbom": summary.sbom(record),
                    "provenance": summary.provenance(record),
                },
                check=self._task.check_mode,
            )
        except Exception:
            return  # Its own tasks tell why.
        result["unchanged"].append(number)
        result["outcomes"].append(summary.outcome(record))
        result["record"] = record


def _choices(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return which images may be used for the wanted ones, the best first, as `resolve` says it of images that are there."""
    names, source, fallback = wanted["names"], wanted["source"], wanted["fallback"]
    real = base_images.resolve([], names, source, fallback)
    instead = base_images.resolve([], names, "assemble", fallback)
    return [real, instead] if fallback == "assemble" and real != instead else [real]
