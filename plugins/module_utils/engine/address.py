"""The address of the Docker Engine, chosen as by the docker command: DOCKER_HOST, else the chosen context, else the local socket.

Nothing here needs a library: a role must know which Engine is missing before it installs one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT = "unix:///var/run/docker.sock"
UNIX = "unix://"
# Seconds for which a socket may keep a connection waiting.
CONNECT_TIMEOUT = 5
# Old releases of the Docker SDK pass the rest of such an address to a shell.
SSH = re.compile(r"\Assh://[A-Za-z0-9_][A-Za-z0-9_.@:\[\]-]*\Z")


class AddressError(Exception):
    """The address cannot be used, or the chosen context cannot be read."""


@dataclass(frozen=True)
class Address:
    """An address, and how both ends of a TLS connection authenticate each other.

    named_by: what chose the address. verify: whether the Engine's certificate is verified; hostname: the name in it, if that differs from the address.
    ca, cert, key: paths, "" for none.
    """

    docker_host: str = DEFAULT
    named_by: str = "the default"
    tls: bool = False
    verify: bool = False
    hostname: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if self.docker_host.startswith("ssh://") and not SSH.match(self.docker_host):
            raise AddressError(f"{self.docker_host!r} ({self.named_by}) is not a valid address: give ssh://[user@]host[:port]")

    @property
    def options(self) -> dict[str, Any]:
        """The options with which a module of community.docker uses the same Engine, whatever its environment says."""
        paths = {"tls_hostname": self.hostname, "ca_path": self.ca, "client_cert": self.cert, "client_key": self.key}
        always = {"docker_host": self.docker_host, "tls": self.tls, "validate_certs": self.tls and self.verify}
        return {**always, **{name: value for name, value in paths.items() if value}}

    def listener(self) -> str:
        """Say what is at the address: `absent`, nothing; `denied`, a socket that this user may not use; `present`; `remote`, an address that is not tested."""
        if not self.docker_host.startswith(UNIX):
            return "remote"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_TIMEOUT)
            try:
                connection.connect("/" + self.docker_host[len(UNIX) :].lstrip("/"))
            except PermissionError:
                return "denied"
            except (BlockingIOError, socket.timeout):
                # So many wait already that no further one is let in: somebody listens, and does not answer.
                return "present"
            except OSError:
                return "absent"
        return "present"


def folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the directory of the docker command's configuration; environment: variables instead of this process's own."""
    environment = os.environ if environment is None else environment
    return Path(environment.get("DOCKER_CONFIG") or "~/.docker").expanduser()


def find(docker_host: str = "", environment: Mapping[str, str] | None = None) -> Address:
    """Return the address to use; docker_host: given by an option, which overrides everything else. Raises AddressError.

    environment: variables instead of this process's own.
    """
    environment = os.environ if environment is None else environment
    own = folder(environment)
    host = docker_host or environment.get("DOCKER_HOST", "")
    if host:
        named_by = "the option docker_host" if docker_host else "DOCKER_HOST"
        return _from_environment(DEFAULT if host == UNIX else host, named_by, environment, own)
    name, named_by = environment.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        name, named_by = _current_context(own / "config.json"), f"currentContext in {own / 'config.json'}"
    return Address() if name in ("", "default") else _from_context(name, named_by, own / "contexts")


def _from_environment(host: str, named_by: str, environment: Mapping[str, str], own: Path) -> Address:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if host.startswith((UNIX, "ssh://")) or not (verify or environment.get("DOCKER_TLS")):
        return Address(host, named_by)
    certificates = _certificates(Path(environment.get("DOCKER_CERT_PATH") or own).expanduser())
    return Address(host, named_by, True, verify, environment.get("DOCKER_TLS_HOSTNAME", ""), **certificates)


def _current_context(config: Path) -> str:
    try:
        return json.loads(config.read_text(encoding="utf-8")).get("currentContext") or ""
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError) as error:
        raise AddressError(f"{config} cannot be read, so it is not known which docker context is chosen: {error}") from error


def _from_context(name: str, named_by: str, contexts: Path) -> Address:
    named_by = f"docker context {name}, chosen by {named_by}"
    stored = hashlib.sha256(name.encode()).hexdigest()
    meta = contexts / "meta" / stored / "meta.json"
    try:
        endpoint = json.loads(meta.read_text(encoding="utf-8"))["Endpoints"]["docker"]
        host = endpoint.get("Host") or DEFAULT
    except FileNotFoundError as error:
        raise AddressError(f"there is no {named_by}: {meta} does not exist (docker context ls shows those that do)") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise AddressError(f"the {named_by}, cannot be read from {meta}: {error!r}") from error
    secrets = contexts / "tls" / stored / "docker"
    skips = bool(endpoint.get("SkipTLSVerify"))
    if not host.startswith("tcp://") or not (skips or secrets.is_dir()):
        return Address(host, f"the {named_by}")
    return Address(host, f"the {named_by}", True, not skips, **_certificates(secrets))


def _certificates(folder: Path) -> dict[str, str]:
    """Return the TLS files in one of docker's directories; a client certificate counts only together with its key."""
    found = {name: str(path) if (path := folder / f"{name}.pem").is_file() else "" for name in ("ca", "cert", "key")}
    return found if found["cert"] and found["key"] else {**found, "cert": "", "key": ""}
