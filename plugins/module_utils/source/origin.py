"""Where a source comes from: its revision, date and address, by git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def read_origin(root: Path) -> dict[str, str]:
    """Return where a source comes from, as far as git tells: revision ("-dirty" behind it with uncommitted changes), date, url.

    Empty values where the source is in no git repository, or git is not there.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    revision, _blank, date = git("log", "-1", "--format=%H %cI").partition(" ")
    if not revision:
        return {"revision": "", "date": "", "url": ""}
    dirty = "-dirty" if git("status", "--porcelain", "--untracked-files=no", "--", ".") else ""
    # A URL may hold a password: only the part behind it is shown.
    return {"revision": revision + dirty, "date": date, "url": re.sub(r"//[^/@]*@", "//", git("remote", "get-url", "origin"))}
