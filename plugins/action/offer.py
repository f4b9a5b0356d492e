"""Action plugin: ask the build host of a fleet, to which the task is delegated, for the image that it has proven, once for all hosts of a run.

Options: settings (dict): the role's settings; platform (str): that of the host that asks, "" for the build host's own; fetch (bool): bring the image as
well, as an archive to the controller, or by the build host's push to the registry (go_service_registry) where one is named; ahead (dict): what filter
fleet_ahead returned of the host that asks, to bring the image at once if it is not among those; keep (str): a directory of the controller, where the archive is left with what is known of the image,
whatever registry there is, beside it (modules/) the Go modules of its source, downloaded by builder_image (str); kept (str): such a directory, by which no host is asked. Returns `offer`, and if the image was brought `digest`, of the image in the
registry, or `contents` of the archive; with ahead also `present`: how many of its lowest layers need not be sent.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure

from ..module_utils.common.failure import UNTOUCHED, Failure, Problem
from ..module_utils.common.settings import Settings
from ..module_utils.image import sent
from ..module_utils.image.pieces import Contents, Sum, present_layers
from ..plugin_utils.depot import Depot, archive_of
from ..plugin_utils.transfer_action import TransferAction
from ..plugin_utils.turn import controller_identity

MODULE = "proven.go_service.offer"
MODULES = "proven.go_service.private_modules"


def _pushed(offer: Mapping[str, Any]) -> str:
    """Return the kind by which the digest of a pushed image is kept."""
    return f"push-{offer['architecture']}"


def _keep(directory: Path, name: str, offer: dict[str, Any], contents: dict[str, Any], archive: Path) -> None:
    """Leave an image's archive in a directory, with what is known of it."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(archive, directory / f"{name}.tar.gz")
    (directory / f"{name}.json").write_text(json.dumps({"offer": offer, "contents": contents}, indent=2, sort_keys=True), encoding="utf-8")


class ActionModule(TransferAction):
    """See the module's docstring."""

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what the build host offers; what fails there is told with its name, since the task is of the host that asks."""
        there = self._task.delegate_to
        if not there:
            return self._offered(args)
        try:
            return self._offered(args)
        except AnsibleConnectionFailure as error:
            remedy = f"Make sure that the controller reaches it (ansible {there} -m ansible.builtin.ping), then run again."
            raise Problem(f"the build host {there} cannot be reached: {error}", remedy) from error
        except (Failure, Problem) as error:
            failure = Failure.of(error, self.stage, UNTOUCHED)
            message, remedy = f"on the build host {there}: {failure.message}", f"On {there}: {failure.remedy}"
            raise Failure(failure.stage, message, remedy, failure.still_runs, failure.evidence) from error

    def _offered(self, args: dict[str, Any]) -> dict[str, Any]:
        settings = Settings.from_json(args["settings"])
        common = {"settings": settings.as_json(), "secrets": self.secrets()}
        depot = Depot(C.DEFAULT_LOCAL_TMP)
        if args.get("kept"):
            return self._kept(Path(args["kept"]), settings.name, depot, fetch=bool(args.get("fetch")))
        platform, ahead = str(args.get("platform") or ""), args.get("ahead") or {}
        if self._task.check_mode or self._is_become_unprivileged():
            ahead = {}
        offer = depot.once(
            f"offer{platform.replace('/', '-')}", settings.name, lambda _path: self._look(settings, common, platform, ahead, depot)
        )
        found: dict[str, Any] = {"changed": False, "offer": offer}
        lacks = bool(ahead) and offer["id"] not in ahead["known"]
        if not (args.get("fetch") or args.get("keep") or lacks) or self._task.check_mode:
            return found
        if lacks:
            found["present"] = present_layers(offer["layers"], ahead["layers"])
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
            pushed = depot.once(_pushed(offer), settings.name, lambda _path: self.module(MODULE, asked))
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

    def _look(self, settings: Settings, common: dict[str, Any], platform: str, ahead: dict[str, Any], depot: Depot) -> dict[str, Any]:
        """Return what the build host offers, and lay it where a fetch of it would if a host lacks it."""
        asked = {**common, "platform": platform, **self.temporary_place(), "unless": ahead.get("known", [])}
        if not ahead:
            found = self.module(MODULE, {**asked, "mode": "look"})
        elif settings.registry:
            found = self.module(MODULE, {**asked, "mode": "push"})
            if "digest" in found:
                depot.once(_pushed(found["offer"]), settings.name, lambda _path: {"digest": found["digest"]})
        else:
            with self._packed(asked) as (found, bring):
                if "contents" in found:
                    depot.once(archive_of(found["offer"]), settings.name, bring)
        self.clean(found["left"], common)
        return dict(found["offer"])

    def _fetch(self, common: dict[str, Any], image: str, target: Path) -> dict[str, Any]:
        """Have the image packed on the build host and fetch it; return what the archive holds where."""
        if self._is_become_unprivileged():
            raise Problem(
                "the image cannot be fetched from the build host: the play becomes a user there who is neither root nor the one who connects",
                "Connect as a user who may use the Engine, become root, or let the image go by a registry (go_service_registry).",
            )
        with self._packed({**common, "image": image}) as (_found, bring):
            return bring(target)

    @contextlib.contextmanager
    def _packed(self, asked: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Callable[[Path], dict[str, Any]]]]:
        """Have the image packed on the build host as long as the block runs; yield what the module returned, and what fetches the archive to a path and returns
        its contents."""
        temporary = self._make_tmp_path()
        try:
            archive = self._connection._shell.join_path(temporary, sent.file_name(controller_identity()))
            packed = self.module(MODULE, {**asked, "mode": "pack", "archive": archive})

            def bring(target: Path) -> dict[str, Any]:
                self._connection.fetch_file(archive, str(target))
                whole, came = Contents.from_json(packed["contents"]).whole, Sum.of(target)
                if came != whole:
                    raise Problem(
                        f"the archive of the image was damaged on the way from the build host: {came.size} bytes of {whole.size} came, with the "
                        f"checksum {came.sha256[:12]} instead of {whole.sha256[:12]}",
                        "Run again; where it stays, look for errors of the disks and of the network between the build host and the controller.",
                    )
                return dict(packed["contents"])

            yield packed, bring
        finally:
            self._remove_tmp_path(temporary)
