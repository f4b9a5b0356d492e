"""What the role was asked for, typed: made from the variables on the controller, and read in the same form on the target.

After the check of the input (plugin_utils/variables.py), no text is parsed again; if a text is needed, `Settings.written` returns it.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .places import absolute
from .references import for_platform
from .text import duration, size

# What a user writes in Docker's notation, and is a number here; for a size, what its "k" means: for logs the Engine uses another factor than for memory.
DURATIONS = ("health_interval", "health_timeout", "health_start_period")
SIZES = {"memory": 1024, "log_max_size": 1000}
# How a new version takes the place of the old one (go_service_deploy_strategy).
DEPLOY_STRATEGIES = CANDIDATE, RECREATE = ("candidate", "recreate")


# The builders (go_service_builder): the Engine's classic builder, or BuildKit through the client's plugin buildx.
BUILDERS = CLASSIC, BUILDX = ("docker_image", "buildx")

# What Go and the Engine call the machines that uname names.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
# The platforms for which an image can be built on a host of another one (go_service_platform): what Alpine and Go both know, without 32-bit ARM, of whose
# variants an Engine does not tell which one it is.
PLATFORMS = tuple(f"linux/{architecture}" for architecture in ("386", "amd64", "arm64", "ppc64le", "riscv64", "s390x"))

# The settings that the final stage of an image follows, besides its base.
OF_IMAGE = (
    "port",
    "publish_more",
    "health_scheme",
    "health_host",
    "health_path",
    "health_headers",
    "health_command",
    "health_interval",
    "health_timeout",
    "health_start_period",
    "health_retries",
    "user",
    "uid",
    "numeric_user",
    "packages",
    "workdir",
    "files",
    "directories",
    "image_labels",
    "stop_signal",
)

# The protocols of a published port.
PROTOCOLS = TCP, UDP = ("tcp", "udp")


@dataclass(frozen=True)
class Endpoint:
    """An address of the host, and a port there."""

    address: str
    port: int

    def __str__(self) -> str:
        """Return it as Docker writes it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def host(self) -> str:
        """The address that a person on this host uses: the loopback address if it stands for all addresses."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)


@dataclass(frozen=True)
class Publication:
    """A port of the container, and the address and port on the host where it is published. protocol: "tcp" or "udp"."""

    endpoint: Endpoint
    port: int
    protocol: str = TCP

    def __str__(self) -> str:
        """Return it as Docker writes it."""
        return f"{self.endpoint}:{self.port}{'' if self.protocol == TCP else f'/{self.protocol}'}"

    @property
    def inside(self) -> str:
        """The port of the container as the Engine calls it."""
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True)
class File:
    """A file or a directory of the source that the image has beside the binary.

    src: path in the source; dest: path in the image, absolute or relative to the working directory; owner: "root" or the service's user; mode: of a
    file, or of each file in a directory, in octal digits; "" for the mode that it has in the source.
    """

    src: str
    dest: str
    owner: str
    mode: str = ""


@dataclass(frozen=True)
class Budget:
    """Limits by name, None for no limit. Megabytes are millions of bytes, as `docker images` counts."""

    image_mb: float | None = 50.0
    start_seconds: float | None = 2.0
    first_build_seconds: float | None = 60.0
    cached_build_seconds: float | None = 30.0
    memory_mb: float | None = 64.0
    max_critical: int | None = None
    max_high: int | None = None


BUDGETS = tuple(field.name for field in fields(Budget))


@dataclass(frozen=True)
class Settings:
    """A field for each variable of the role, by its name without the prefix; times in seconds, sizes in bytes.

    The values of env, labels, build_env, build_args, build_secrets, secret_files and registry_credentials are secret: where settings are shown or kept, `secrets.conceal` put a mask in their places.
    publish: None for no port. uid: None for any. image_tag, version: "" for the content digest. platform: "" for the host's own.
    """

    name: str
    source: str
    source_type: str
    source_version: str
    module_dir: str
    main_package: str
    version: str
    builder_image: str
    runtime_image: str
    platform: str
    builder: str
    build_tags: tuple[str, ...]
    ldflags: str
    run_tests: bool
    build_args: Mapping[str, str]
    build_env: Mapping[str, str]
    build_secrets: Mapping[str, Mapping[str, str]]
    build_modules: str
    ca_certificates: str
    ca_in_image: bool
    build_network: str
    build_timeout: int
    dockerignore: tuple[str, ...]
    context_limit_mb: float
    workdir: str
    files: tuple[File, ...]
    directories: tuple[str, ...]
    packages: tuple[str, ...]
    image_labels: Mapping[str, str]
    user: str
    uid: int | None
    numeric_user: bool
    port: int
    publish: Endpoint | None
    publish_more: tuple[Publication, ...]
    health_path: str
    health_host: str
    health_scheme: str
    health_headers: Mapping[str, str]
    health_command: tuple[str, ...]
    health_interval: float
    health_timeout: float
    health_start_period: float
    health_retries: int
    args: tuple[str, ...]
    env: Mapping[str, str]
    secret_files: Mapping[str, str]
    volumes: tuple[str, ...]
    labels: Mapping[str, str]
    network: str
    networks: tuple[str, ...]
    restart_policy: str
    memory: int
    cpus: float
    pids_limit: int
    read_only: bool
    tmpfs: Mapping[str, str]
    cap_drop: tuple[str, ...]
    cap_add: tuple[str, ...]
    log_max_size: int
    log_max_file: int
    stop_timeout: int
    stop_signal: str
    image_tag: str
    deploy_strategy: str
    start_timeout: float
    stable_seconds: float
    keep_images: int
    lock_timeout: int
    work_dir: str
    budget: Budget
    budget_warn_only: tuple[str, ...]
    waivers: Mapping[str, str]
    vulnerability_database: str
    report_dir: str
    registry: str
    registry_credentials: Mapping[str, str]
    registry_ca: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Return the settings that `as_json` wrote."""
        values = {field.name: _read(data[field.name]) for field in fields(cls)}
        published = values["publish"]
        made = {
            "publish": Endpoint(**published) if published else None,
            "publish_more": tuple(
                Publication(Endpoint(**more["endpoint"]), more["port"], more.get("protocol", TCP)) for more in values["publish_more"]
            ),
            "files": tuple(File(**file) for file in values["files"]),
            "budget": Budget(**values["budget"]),
        }
        return cls(**{**values, **made})

    def as_json(self) -> dict[str, Any]:
        """Return them as plain data, which a fact or an option of a module can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def written(self, name: str) -> Any:
        """Return the value of a variable in the form that a user writes, with times and sizes in the shortest form."""
        value = getattr(self, name)
        if name in DURATIONS:
            return duration(value)
        if name in SIZES:
            return size(value, SIZES[name])
        return str(value or "") if name == "publish" else value

    @property
    def goarch(self) -> str:
        """The architecture for which the image is built, as Go and the Engine call it, "" for the host's own."""
        return self.platform.rpartition("/")[2]

    @property
    def runtime_base(self) -> str:
        """The name under which the base image is asked for on the host: one for another platform has a name of its own there."""
        return for_platform(self.runtime_image, self.platform) if self.platform else self.runtime_image

    @property
    def url(self) -> str:
        """The address at which the service answers on its host, "" if it publishes no port."""
        return f"{self.health_scheme}://{Endpoint(self.publish.host, self.publish.port)}" if self.publish else ""

    @property
    def publications(self) -> tuple[Publication, ...]:
        """Everything that is published, the service's own port first."""
        return (*((Publication(self.publish, self.port),) if self.publish else ()), *self.publish_more)

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports in the container that are published, the service's own first, each only once."""
        return tuple(dict.fromkeys((self.port, *(more.port for more in self.publish_more if more.protocol == TCP))))

    @property
    def exposed(self) -> tuple[str, ...]:
        """All ports in the container that somebody is to reach, as the Engine calls them: the service's own first, each once."""
        return tuple(dict.fromkeys((f"{self.port}/{TCP}", *(more.inside for more in self.publish_more))))

    @property
    def health_test(self) -> tuple[str, ...]:
        """The words of the health check's command. With TLS any certificate is accepted: it is for the name that clients use, not for this address."""
        if self.health_command:
            return self.health_command
        insecure = ("--no-check-certificate",) if self.health_scheme == "https" else ()
        headers = (f"--header={name}: {value}" for name, value in self.health_headers.items())
        address = f"{self.health_scheme}://{self.health_host}:{self.port}{self.health_path}"
        return ("wget", "--no-verbose", "--tries=1", "--spider", *insecure, *headers, address)

    def try_command(self, *options: str) -> str:
        """Return the command by which a person on the host asks the service as its health check does, "" if there is none; options: of curl."""
        if self.health_command:
            return shlex.join(("docker", "exec", self.name, *self.health_command))
        if not self.url:
            return ""
        insecure = ("-k",) if self.health_scheme == "https" else ()
        headers = [word for name, value in self.health_headers.items() for word in ("-H", f"{name}: {value}")]
        return shlex.join(("curl", *options, *insecure, *headers, self.url + self.health_path))

    def in_image(self, path: str) -> str:
        """Return a path of the image as an absolute one; a relative one begins in the working directory."""
        return absolute(self.workdir, path)

    @property
    def demands(self) -> str:
        """A fingerprint of what the contract demands in addition to the settings of image and container: if it changes, the image is judged anew."""
        asked = {"budget": asdict(self.budget), "budget_warn_only": list(self.budget_warn_only), "waivers": dict(self.waivers)}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _read(value: Any) -> Any:
    """Return a value of JSON as a field has it."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return dict(value) if isinstance(value, Mapping) else value
