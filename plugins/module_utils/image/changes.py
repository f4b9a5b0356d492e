"""A build context that contains only what has changed in the source since the last build, for a build that goes on from the stage of that build.

In the classic builder, the time until the first step grows with the number of files that it gets: some 0.8 ms for each, and as much again for the step that
copies them. The files of the last build are in its stage already.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.files import parents, read_own, write_text
from ..common.names import CHANGES
from .manifest import DIRECTORY, FILE, Entry, difference
from .transfer import apply_archive, write_archive

# The place in the build stage of the source; what tells how it changed is in CHANGES.
SOURCE = "src"
# The directory of such a context with what comes to these places; beside it lies what the image itself takes from the context.
FOR_STAGE = ".stage"
# What such a build prints if the source in the stage is not what it should be: then the whole source has to be built.
NOT_AS_RECORDED = "go-service: the source in this build stage is not the one that was recorded"
# The types of what identifies an entry.
_IDENTITY = [str, str, bool, str]
_APPLY = f"""\
cd /{SOURCE} &&
xargs -0 rm -rf -- </{CHANGES}/removed &&
sha256sum -c /{CHANGES}/sha256 >/dev/null 2>&1 &&
test "$(find . ! -type d | wc -l)" -eq {{count}} && exit
echo "{NOT_AS_RECORDED}"
exit 1
"""


def recall(file: Path, manifest: str) -> list[list[Any]] | None:
    """Return what identifies each entry of a source that was built here, None if that is not known any more; manifest: digest of its manifest."""
    try:
        found = json.loads(read_own(file))[manifest]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = isinstance(found, list) and all(isinstance(identity, list) and list(map(type, identity)) == _IDENTITY for identity in found)
    return found if whole else None


def remember(file: Path, sources: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Keep what identifies each entry of sources: digest of the manifest -> identities."""
    write_text(file, json.dumps(sources), 0o600)


def write(directory: Path, context: Path, before: Sequence[Sequence[Any]], after: Sequence[Entry], beside: Sequence[str] = ()) -> bool:
    """Write the files of such a context, still without a Dockerfile, and return True; or False if a change is of a kind that this cannot express.

    directory: where to, emptied first. context: the whole source. before: identities of the last build's entries; after: the entries of this build.
    beside: paths of files and directories of the source that the image has beside the binary; it takes them from the same paths of this context, so they
    are always written, whether they changed or not.
    """
    known = {identity[0]: identity for identity in before}
    send, removed = difference(after, before)
    if any(entry.path in known and known[entry.path][1] != entry.kind for entry in send):
        return False
    if any("\n" in entry.path or "\\" in entry.path for entry in after):
        # Neither a list of checksums nor a count of lines can name it.
        return False
    if any(path.split("/")[0] == FOR_STAGE for path in beside):
        return False
    shutil.rmtree(directory, ignore_errors=True)
    source, told = directory / FOR_STAGE / SOURCE, directory / FOR_STAGE / CHANGES
    for made in (directory, directory / FOR_STAGE, source, told):
        made.mkdir(mode=0o755, parents=True)
        made.chmod(0o755)
    asked = set(beside)
    _take(directory, context, after, {entry.path for entry in after if not asked.isdisjoint((entry.path, *parents(entry.path)))})
    _take(source, context, after, {entry.path for entry in send})
    files = [entry for entry in after if entry.kind == FILE]
    # Two blanks: https://www.gnu.org/software/coreutils/manual/html_node/md5sum-invocation.html
    write_text(told / "sha256", "".join(f"{entry.content}  ./{entry.path}\n" for entry in files))
    write_text(told / "removed", "".join(f"{path}\0" for path in removed))
    write_text(told / "apply", _APPLY.format(count=sum(entry.kind != DIRECTORY for entry in after)))
    return True


def _take(directory: Path, context: Path, entries: Sequence[Entry], paths: set[str]) -> None:
    """Write some of the entries of a context, with the directories above them, into a directory that has none of them yet."""
    above = {parent for path in paths for parent in parents(path)}
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".tar.gz") as packed:
        write_archive(context, [entry for entry in entries if entry.path in paths | above], Path(packed.name))
        apply_archive(directory, Path(packed.name), [])
