"""Archives that a run sends between hosts are in Ansible's temporary directories; if a run was killed, its archives are found by their names."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path

_BEGIN, _END = "go-service-image-", ".tar.gz"


def file_name(controller: str) -> str:
    """Return the name of a run's archive; controller: the run's process, from `turn.controller_identity`."""
    return f"{_BEGIN}{base64.urlsafe_b64encode(controller.encode()).decode().rstrip('=')}{_END}"


def sender(path: str) -> str:
    """Return the process that an archive belongs to, "" if its name tells none."""
    name = os.path.basename(path)
    word = name[len(_BEGIN) : -len(_END)]
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode()
    return ""


def found(remote_tmp: str, user: str) -> list[str]:
    """Return the paths of all archives on this host; remote_tmp: Ansible's option, "" for none; user: whose home directory a "~" of it is."""
    if not remote_tmp:
        return []
    place = remote_tmp.replace("~/", f"~{user}/", 1) if remote_tmp.startswith("~/") and user else remote_tmp
    return sorted(map(str, Path(os.path.expanduser(place)).glob(f"*/{_BEGIN}*{_END}")))


def remove(paths: list[str]) -> list[str]:
    """Remove archives, and their directories if nothing else is in them; return the archives that were there."""
    gone = []
    for path in map(Path, paths):
        if path.name.startswith(_BEGIN) and path.name.endswith(_END):
            with contextlib.suppress(OSError):
                path.unlink()
                gone.append(str(path))
                path.parent.rmdir()
    return gone
