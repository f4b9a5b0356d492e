"""Action plugin: ask the build host of a fleet, to which the task is delegated, for the image that it has proven, once for all hosts of a run.

Options: settings (dict): the role's settings; platform (str): that of the host that asks, "" for the build host's own; fetch (bool): bring the image as
well, as an archive to the controller, or by the build host's push to the registry (go_service_registry) where one is named; keep (str): a directory of the controller, where the archive is left with what is known of the image,
whatever registry there is, beside it (modules/) the Go modules of its source, downloaded by builder_image (str); kept (str): such a directory, by which no host is asked. Returns `offer`, and with fetch or keep `digest`, of the image in the
registry, or `contents` of the archive.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ansible import constants as C

from ..module_utils.common.failure import Problem
from ..module_utils.common.settings import Settings
from ..module_utils.image import sent
from ..module_utils.image.pieces import Contents, Sum
from ..plugin_utils.depot import Depot, archive_of
from ..plugin_utils.transfer_action import TransferAction
from ..plugin_utils.turn import controller_identity

MODULE = "proven.go_service.offer"
MODULES = "proven.go_service.private_modules"


def _keep(directory: Path, name: str, offer: dict[str, Any], contents: dict[str, Any], archive: Path) -> None:
    """Leave an image's archive in a directory, with what is known of it."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(archive, directory / f"{name}.tar.gz")
    (directory / f"{name}.json").write_text(json.dumps({"offer": offer, "contents": contents}, indent=2, sort_keys=True), encoding="utf-8")


class ActionModule(TransferAction):
    """See the module's docstring."""

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what the build host offers."""
        settings = Settings.from_json(args["settings"])
        common = {"settings": settings.as_json(), "secrets": self.secrets()}
        depot = Depot(C.DEFAULT_LOCAL_TMP)
        if args.get("kept"):
            return self._kept(Path(args["kept"]), settings.name, depot, fetch=bool(args.get("fetch")))
        platform = str(args.get("platform") or "")
        offer = depot.once(f"offer{platform.replace('/', '-')}", settings.name, lambda _path: self._look(common, platform))
        found = {"changed": False, "offer": offer}
        if not (args.get("fetch") or args.get("keep")) or self._task.check_mode:
            return found
        image, kind = offer["id"], archive_of(offer)
        if args.get("keep"):
            contents = depot.once(kind, settings.name, lambda path: self._fetch(common, image, path))
            _keep(Path(args["keep"]), settings.name, offer, contents, depot.file(kind, settings.name))
            modules = Path(args["keep"]).with_name("modules") / f"{settings.name}.tar"
            asked = {"state": "kept", "builder_image": args["builder_image"], "archive": str(modules)}
            self.module(MODULES, {**common, **asked})
            return {**found, "changed": True, "contents": contents}
        if settings.registry:
            asked = {**common, "mode": "push", "image": image, "tag": offer["tag"]}
            pushed = depot.once(f"push-{offer['architecture']}", settings.name, lambda _path: self.module(MODULE, asked))
            return {**found, "digest": pushed["digest"]}
        return {**found, "contents": depot.once(kind, settings.name, lambda path: self._fetch(common, image, path))}

    def _kept(self, directory: Path, name: str, depot: Depot, *, fetch: bool) -> dict[str, Any]:
        """Return what was kept of an image in a directory, and with fetch lay its archive where one that a host gave would lie."""
        record = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
        found = {"changed": False, "offer": record["offer"]}
        if not fetch or self._task.check_mode:
            return found

        def lay(path: Path) -> dict[str, Any]:
            path.symlink_to((directory / f"{name}.tar.gz").resolve())
            return dict(record["contents"])

        return {**found, "contents": depot.once(archive_of(record["offer"]), name, lay)}

    def _look(self, common: dict[str, Any], platform: str) -> dict[str, Any]:
        found = self.module(MODULE, {**common, "mode": "look", "platform": platform, **self.temporary_place()})
        self.clean(found["left"], common)
        return dict(found["offer"])

    def _fetch(self, common: dict[str, Any], image: str, target: Path) -> dict[str, Any]:
        """Have the image packed on the build host and fetch it; return what the archive holds where."""
        if self._is_become_unprivileged():
            raise Problem(
                "the image cannot be fetched from the build host: the play becomes a user there who is neither root nor the one who connects",
                "Connect as a user who may use the Engine, become root, or let the image go by a registry (go_service_registry).",
            )
        temporary = self._make_tmp_path()
        try:
            archive = self._connection._shell.join_path(temporary, sent.file_name(controller_identity()))
            packed = self.module(MODULE, {**common, "mode": "pack", "image": image, "archive": archive})
            self._connection.fetch_file(archive, str(target))
        finally:
            self._remove_tmp_path(temporary)
        contents = Contents.from_json(packed["contents"])
        came = Sum.of(target)
        if came != contents.whole:
            raise Problem(
                f"the archive of the image was damaged on the way from the build host: {came.size} bytes of {contents.whole.size} came, with the "
                f"checksum {came.sha256[:12]} instead of {contents.whole.sha256[:12]}",
                "Run again; where it stays, look for errors of the disks and of the network between the build host and the controller.",
            )
        return dict(packed["contents"])
