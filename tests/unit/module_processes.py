"""Modules of the collection, run as Ansible would on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from plays import PROJECT


def start_module(name: str, directory: Path, **arguments: Any) -> subprocess.Popen[str]:
    """Start a module of the collection as Ansible would on this machine; directory: where its arguments are written."""
    file = directory / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, default=Settings.as_json))
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(PROJECT / 'collections')!r}); "
        f"sys.argv[1:] = [{str(file)!r}]; runpy.run_module('ansible_collections.proven.go_service.plugins.modules.{name}', run_name='__main__')"
    )
    return subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result_of(module: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the result of a module that was started."""
    output, errors = module.communicate()
    assert output, errors
    return json.loads(output)


def run_module(name: str, directory: Path, **arguments: Any) -> dict[str, Any]:
    """Run a module of the collection as Ansible would on this machine, and return its result; directory: where its arguments are written."""
    return result_of(start_module(name, directory, **arguments))
