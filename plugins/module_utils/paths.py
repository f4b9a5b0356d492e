"""Where the role keeps a service's files on the target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def service_directory(settings: Mapping[str, Any]) -> Path:
    """Return the directory of the service on this host: <go_service_work_dir>/<go_service_name>, absolute."""
    return Path(os.path.expanduser(settings["work_dir"])).absolute() / settings["name"]
