"""Action plugin: write a bundle of what lies in a directory of the controller.

Options: see plugins/modules/bundle_write.py.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils.common.stages import TRANSFER
from ..plugin_utils.bundle import archive, packages, signature
from ..plugin_utils.source_place import COLLECTION
from ..plugin_utils.stage_action import StageAction

_VERSION = re.compile(r"^version: (\S+)$", re.MULTILINE)


def project_version() -> str:
    """Return the version of this collection, as galaxy.yml of a checkout or MANIFEST.json of an installed one has it."""
    checkout = COLLECTION / "galaxy.yml"
    if checkout.exists():
        found = _VERSION.search(checkout.read_text(encoding="utf-8"))
        return found[1] if found else ""
    manifest = json.loads((COLLECTION / "MANIFEST.json").read_text(encoding="utf-8"))
    return str(manifest["collection_info"]["version"])


class ActionModule(StageAction):
    """See plugins/modules/bundle_write.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    stage = TRANSFER

    def service(self, args: Mapping[str, Any]) -> str:
        """Return what a failure is told of."""
        return "bundle"

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Fetch the packages, or write the bundle, and return what was done."""
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "tree": {"type": "str", "required": True},
                "release": {"type": "str", "default": ""},
                "packages": {"type": "list", "elements": "str", "default": []},
                "optional": {"type": "list", "elements": "str", "default": []},
                "mirror": {"type": "str", "default": ""},
                "security_mirror": {"type": "str", "default": ""},
                "dest": {"type": "str", "default": ""},
                "key": {"type": "str", "default": ""},
                "machine": {"type": "str", "default": ""},
                "base_images": {"type": "list", "elements": "str", "default": []},
            }
        )
        tree = Path(args["tree"])
        if args["release"]:
            (tree / "packages").mkdir(exist_ok=True)
            target = tree / f"packages/{args['release']}.tar"
            mirrors = (args["mirror"], args["security_mirror"])
            return {"changed": True, "files": packages.fetch(args["release"], args["packages"], args["optional"], mirrors, target)}
        services = {path.stem: _told(path) for path in sorted(tree.glob("services/*.json"))}
        contents = {
            "project": project_version(),
            "machine": args["machine"],
            "releases": sorted(path.stem for path in tree.glob("packages/*.tar")),
            "base_images": args["base_images"],
            "services": services,
            "modules": {path.stem: f"modules/{path.name}" for path in sorted(tree.glob("modules/*.tar"))},
        }
        dest = Path(os.path.expanduser(args["dest"])).absolute()
        key = args["key"]
        whole = archive.write(tree, dest, contents, (lambda listed: signature.sign(listed, key)) if key else None)
        return {"changed": True, "path": str(dest), "sha256": whole, "size": dest.stat().st_size, "contents": contents}


def _told(path: Path) -> dict[str, Any]:
    """Return what is said of a service's image: the rest stays in its own file."""
    offer = json.loads(path.read_text(encoding="utf-8"))["offer"]
    return {name: offer[name] for name in ("tag", "version", "architecture", "size")}
