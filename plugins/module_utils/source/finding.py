"""Where a source is, among the places that a relative path may mean."""

from __future__ import annotations

import posixpath
from pathlib import Path

from .errors import SourceError


def find_source(source: str, candidates: list[str], *, file: bool = False) -> Path:
    """Return the first existing directory of `source` below the candidates, or file; raise SourceError naming all tried."""
    tried = [source] if posixpath.isabs(source) else [posixpath.normpath(posixpath.join(base, source)) for base in candidates]
    for path in dict.fromkeys(tried):
        if Path(path).is_file() if file else Path(path).is_dir():
            return Path(path)
    others = [path for path in tried if Path(path).exists()]
    kind = "file" if file else "directory"
    problem = f"{others[0]} is not a {kind}" if others else f"no such {kind}: {', '.join(dict.fromkeys(tried))}"
    raise SourceError(problem, f"Set go_service_source to the {kind} that holds the service's source.", "go_service_source")
