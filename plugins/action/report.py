"""Action plugin: write the report of a run on the controller. No module runs on the target.

Options: report (dict, required): what the stages know; its keys are those of `report.assemble`. dir (path, required):
directory of all reports on the controller; created where it is missing. host (str, required), service (str, required):
<dir>/<host>/<service>.json, .html, .junit.xml, .sbom.json and .provenance.json. still_runs (str, required): what runs now, for a report that cannot be
written. sbom (dict): the CycloneDX document, provenance (dict): the in-toto statement; without one an
older one is removed, as it would belong to another image.

Returns: path (str, the page), paths (dict: json, html, junit, sbom, provenance, index), verdict (str), summary (str), checks (list).
`changed` is always false: a report describes the host and is no part of its state, so that a run that changed nothing
says so although its report has a new date. In check mode nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.common.failure import Failure
from ..module_utils.common.stages import REPORT
from ..plugin_utils.report import document
from ..plugin_utils.report.writing import write
from ..plugin_utils.stage_action import StageAction


class ActionModule(StageAction):
    """See the module's docstring."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("report", "dir", "host", "service", "still_runs", *document.BESIDE))
    stage = REPORT

    def service(self, args: Mapping[str, Any]) -> str:
        """Return the service's name."""
        return str(args["service"])

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Write the files and return where they are."""
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "report": {"type": "dict", "required": True},
                "dir": {"type": "path", "required": True},
                "host": {"type": "str", "required": True},
                "service": {"type": "str", "required": True},
                "still_runs": {"type": "str", "required": True},
                **{kind: {"type": "dict"} for kind in document.BESIDE},
            }
        )
        self._progress.at(REPORT, args["still_runs"])
        try:
            return {"changed": False, **write(args, check=self._task.check_mode)}
        except OSError as error:
            cause = Failure.of(error, REPORT, args["still_runs"])
            raise Failure(REPORT, f"the report cannot be written: {cause.message}", cause.remedy, cause.still_runs) from error
