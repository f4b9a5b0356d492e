"""What the role was asked for, typed: made of the variables on the controller, read as it is on the target.

Nobody after the check of the input (plugin_utils/variables.py) parses a text again; where one is needed, `Settings.written` gives it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .text import duration, size

# What a user writes as Docker does, and is a number here; of a size what its "k" is: the Engine counts logs by another than memory.
DURATIONS = ("health_interval", "health_timeout", "health_start_period")
SIZES = {"memory": 1024, "log_max_size": 1000}


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
        """The address as a person on this host asks for it: the loopback one for all."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)


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

    The values of env, labels, build_env and build_args are secret: where settings are shown or kept, `secrets.conceal` put a mask in their places.
    publish: None for no port. uid: None for any. image_tag, version: "" for the content digest.
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
    builder: str
    build_tags: tuple[str, ...]
    ldflags: str
    run_tests: bool
    build_args: Mapping[str, str]
    build_env: Mapping[str, str]
    build_network: str
    build_timeout: int
    dockerignore: tuple[str, ...]
    context_limit_mb: float
    packages: tuple[str, ...]
    user: str
    uid: int | None
    numeric_user: bool
    port: int
    publish: Endpoint | None
    health_path: str
    health_host: str
    health_interval: float
    health_timeout: float
    health_start_period: float
    health_retries: int
    args: tuple[str, ...]
    env: Mapping[str, str]
    volumes: tuple[str, ...]
    labels: Mapping[str, str]
    network: str
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
    image_tag: str
    start_timeout: float
    stable_seconds: float
    keep_images: int
    lock_timeout: int
    work_dir: str
    budget: Budget
    budget_warn_only: tuple[str, ...]
    waivers: Mapping[str, str]
    report_dir: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Return the settings that `as_json` wrote."""
        values = {field.name: _read(data[field.name]) for field in fields(cls)}
        published = values["publish"]
        return cls(**{**values, "publish": Endpoint(**published) if published else None, "budget": Budget(**values["budget"])})

    def as_json(self) -> dict[str, Any]:
        """Return them as plain data, which a fact or an option of a module can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def written(self, name: str) -> Any:
        """Return the value of a variable as a user writes it, times and sizes in the shortest form."""
        value = getattr(self, name)
        if name in DURATIONS:
            return duration(value)
        if name in SIZES:
            return size(value, SIZES[name])
        return str(value or "") if name == "publish" else value

    @property
    def url(self) -> str:
        """The address at which the service answers on its host, "" where it publishes no port."""
        return f"http://{Endpoint(self.publish.host, self.publish.port)}" if self.publish else ""

    @property
    def health_command(self) -> tuple[str, ...]:
        """The words of the health check's command."""
        return ("wget", "--no-verbose", "--tries=1", "--spider", f"http://{self.health_host}:{self.port}{self.health_path}")

    @property
    def demands(self) -> str:
        """What the contract demands beyond what image and container are made from, as one word: where it changes, the image is judged anew."""
        asked = {"budget": asdict(self.budget), "budget_warn_only": list(self.budget_warn_only), "waivers": dict(self.waivers)}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _read(value: Any) -> Any:
    """Return a value of JSON as a field has it."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return dict(value) if isinstance(value, Mapping) else value
