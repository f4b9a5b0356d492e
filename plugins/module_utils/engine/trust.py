"""Which certificate authorities an Engine trusts for a registry: files beside its configuration, which it reads at each call."""

from __future__ import annotations

import os
from pathlib import Path

from ..common.failure import Problem
from ..common.files import write_text
from ..common.stages import TRANSFER
from .address import UNIX
from .client import Engine
from .records import rootless

_SYSTEM, _OWN = Path("/etc/docker/certs.d"), Path("~/.config/docker/certs.d")
# Beside the files of an administrator: the Engine reads all files of this kind.
_FILE = "go-service.crt"


class NotTrusted(Problem):
    """The authority of a registry cannot be made known to the Engine."""

    stage = TRANSFER


def place(engine: Engine, registry: str) -> Path:
    """Return the file for the certificate authority of a registry; registry: host and port, perhaps with a path."""
    return (_OWN.expanduser() if rootless(engine.info()) else _SYSTEM) / registry.partition("/")[0] / _FILE


def trust(engine: Engine, registry: str, certificates: str) -> bool:
    """Make the Engine trust an authority for a registry; return whether that is new. certificates: PEM, "" if no extra authority is needed."""
    if not certificates:
        return False
    if not engine.address.docker_host.startswith(UNIX):
        raise NotTrusted(
            f"the Engine at {engine.address.docker_host} is on another machine, whose files cannot be written from here (go_service_registry_ca)",
            f"Put the authority there by hand: /etc/docker/certs.d/{registry.partition('/')[0]}/ca.crt; then empty go_service_registry_ca.",
        )
    file = place(engine, registry)
    try:
        if file.exists() and file.read_text(encoding="utf-8") == certificates:
            return False
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        # Its directory may be made under a umask for secrets.
        os.chmod(file.parent, 0o755)
        write_text(file, certificates, 0o644)
    except PermissionError as error:
        raise NotTrusted(
            f"the authority of {registry} (go_service_registry_ca) cannot be written to {file}: {error.strerror}",
            "Let this play become root, or have an administrator put it there as ca.crt and empty go_service_registry_ca.",
        ) from error
    return True
