"""Filters of the role go_service: thin names for its own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plugin_utils import fleet, source_place, summary


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "sbom": summary.sbom,
            "file_on_controller": source_place.file_on_controller,
            "fleet": fleet.fleet,
            "fleet_ahead": fleet.ahead,
            "fleet_platform": fleet.platform_of,
            "fleet_platforms": fleet.platforms,
            "fleet_table": fleet.table,
            "fleet_unfit": fleet.unfit,
            "failed": summary.failed,
            "failure_text": summary.failure_text,
            "provenance": summary.provenance,
            "report_document": summary.report_document,
            "outcome": summary.outcome,
            "services_table": summary.services_table,
            "still_runs": summary.still_runs,
            "summary": summary.text,
        }
