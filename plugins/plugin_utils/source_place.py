"""Where a source on the controller is: a relative path is looked for in the same places, whether it is a directory or a file."""

from __future__ import annotations

import os
from pathlib import Path

from ..module_utils.source.finding import find_source

COLLECTION = Path(__file__).resolve().parents[2]


def _roots(inventory_dir: str, playbook_dir: str) -> list[str]:
    """Return the directories of the controller in which a relative source is looked for: the current one, that of the inventory, that of the
    playbook and the one above it, and last that of the collection, which contains the example."""
    playbooks = playbook_dir or "."
    return [os.getcwd(), *filter(None, [inventory_dir]), playbooks, f"{playbooks}/..", str(COLLECTION)]


def directory_on_controller(source: str, inventory_dir: str = "", playbook_dir: str = "") -> Path:
    """Return the directory of a source on the controller; raise SourceError, naming all places where it was looked for."""
    return find_source(os.path.expanduser(source), _roots(inventory_dir, playbook_dir))


def file_on_controller(source: str, inventory_dir: str = "", playbook_dir: str = "") -> str:
    """Return the path of a source that is a file on the controller; raise SourceError, naming all places where it was looked for."""
    return str(find_source(os.path.expanduser(source), _roots(inventory_dir, playbook_dir), file=True))
