"""Rendering of the role's templates: the files of a build, and the pages of a report.

Jinja takes longer to compile one of them than to render it, and each task of a play runs in a process of its own. So what it compiles is kept on the
controller, in Ansible's own directory (ANSIBLE_HOME), as Jinja does it: https://jinja.palletsprojects.com/en/stable/api/#bytecode-cache
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import stat
from pathlib import Path
from typing import Any

import jinja2
from ansible import constants as C

from .source_place import COLLECTION

TEMPLATES = COLLECTION / "roles/go_service/templates"


def text(template: str, /, **variables: Any) -> str:
    """Render a template of a text file, with these variables alone."""
    return _environment(pages=False).get_template(template).render(**variables)


def page(template: str, /, **variables: Any) -> str:
    """Render a template of an HTML page; every value is escaped."""
    return _environment(pages=True).get_template(template).render(**variables)


@functools.lru_cache
def _environment(*, pages: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=pages,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not pages,
        # What is compiled differs by these options.
        bytecode_cache=_kept(Path(C.config.get_config_value("ANSIBLE_HOME")), "pages" if pages else "texts"),
    )
    environment.filters["quote"] = shlex.quote
    environment.tests["search"] = lambda value, pattern: bool(re.search(pattern, value))
    return environment


def _kept(home: Path, kind: str) -> jinja2.BytecodeCache | None:
    """Return where compiled templates of a kind are kept, None if that is no directory of this user that nobody else can write to."""
    directory = home / f"go_service/{kind}-{jinja2.__version__}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError:
        return None
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        return None
    return jinja2.FileSystemBytecodeCache(str(directory))
