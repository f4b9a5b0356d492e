"""Action plugin: hold a bundle on the controller to its checksums and its signature, unpack it there once, and say whether it does for the host.

Options: see plugins/modules/bundle_open.py. No host is asked for anything.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C

from ..module_utils.common.stages import TRANSFER
from ..plugin_utils.bundle import archive, signature
from ..plugin_utils.bundle.fitness import packages_for, problems
from ..plugin_utils.depot import Depot
from ..plugin_utils.stage_action import StageAction


class ActionModule(StageAction):
    """See plugins/modules/bundle_open.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    stage = TRANSFER

    def service(self, args: Mapping[str, Any]) -> str:
        """Return what a failure is told of."""
        return self.host() or "bundle"

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what is in the bundle, and where."""
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "archive": {"type": "str", "required": True},
                "public_key": {"type": "str", "default": ""},
                "cache": {"type": "str", "required": True},
                "target": {"type": "dict", "required": True},
            }
        )
        path = Path(os.path.expanduser(args["archive"])).absolute()
        cache = Path(os.path.expanduser(args["cache"])).absolute()

        def opened(_path: Path) -> dict[str, Any]:
            found = archive.open_bundle(path, cache, lambda sums, signed: signature.verify(sums, signed, args["public_key"]))
            return {"directory": str(found.directory), "fresh": found.fresh, "signed": found.signed, "contents": found.contents}

        # Hosts of one run may name different bundles, and require different signatures.
        asked = hashlib.sha256(json.dumps([str(path), str(cache), args["public_key"]]).encode()).hexdigest()
        found = Depot(C.DEFAULT_LOCAL_TMP).once("opened", f"bundle-{asked}", opened)
        contents, directory = found["contents"], Path(found["directory"])
        release = args["target"]["release"]
        wrong = problems(contents, args["target"])
        if wrong:
            raise archive.BundleError(
                f"the bundle {path} does not do for {self.host()}: {'; '.join(wrong)}",
                "Write one on a machine of the same architecture, with the release in bundle_releases and the base images that this host asks for.",
            )
        packages = packages_for(contents, release)
        return {
            "changed": bool(found["fresh"]),
            "bundle": {
                "directory": str(directory),
                "signed": found["signed"],
                "packages": str(directory / packages) if packages else "",
                "base_images": str(directory / "base-images"),
                "images": str(directory / "services"),
                "services": sorted(contents["services"]),
                "modules": {name: str(directory / file) for name, file in contents["modules"].items()},
            },
        }
