"""Checks of the image's configuration."""

from __future__ import annotations

import re
import shlex

from ...common.names import OCI
from ...common.references import parts_of
from ...common.text import count, is_rfc3339, listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, passed, warned

GROUP = Group("configuration")
_SECRET_NAME = re.compile(
    r"(?:\A|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|SECRETS|TOKEN|CREDENTIAL|CREDENTIALS|APIKEY|KEY)(?:_|\Z)", re.I
)
_HARMLESS_NAMES = ("GPG_KEY", "GPG_KEYS")
_URL_WITH_PASSWORD = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
_BUILD_ARGUMENTS = re.compile(r"\A\|\d+ (.*?) /bin/sh -c ", re.S)
# A source that is not a git checkout has no date, no address and no revision; the rest is always known.
_LABELS_REQUIRED = tuple(OCI + name for name in ("title", "version", "base.name", "base.digest"))
_LABELS_WISHED = tuple(OCI + name for name in ("created", "source", "revision"))
_SENSITIVE_VOLUMES = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/bin", "/sbin")


@GROUP.check(
    "config-healthcheck",
    "Health check",
    severity="high",
    remedy="Build the image with this role, or give its Dockerfile the HEALTHCHECK with the go_service_health_* values.",
    rules=(
        "CIS 4.6",
        "CIS 5.27",
        "Dockle CIS-DI-0006",
        "hadolint DL3057",
        "trivy AVD-DS-0026",
        "checkov CKV_DOCKER_2",
    ),
)
def config_healthcheck(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's HEALTHCHECK has the command, interval, timeout, start period and retries of the go_service_health_*
    variables, and the container does not switch it off."""
    wanted_times = (
        expected.health_interval,
        expected.health_timeout,
        expected.health_start_period,
        expected.health_retries,
    )
    limit = f"{shlex.join(expected.health_test)}, {_times(wanted_times)}"
    declared = evidence.image.config.get("Healthcheck") or {}
    test = declared.get("Test") or []
    if not test or test[0] == "NONE":
        return failed("none", limit, "the image has no health check")
    command = _health_command(test)
    # Zero stands for the Engine's defaults (docs.docker.com/reference/dockerfile/#healthcheck).
    times = (
        (declared.get("Interval") or 30_000_000_000) / 1e9,
        (declared.get("Timeout") or 30_000_000_000) / 1e9,
        (declared.get("StartPeriod") or 0) / 1e9,
        declared.get("Retries") or 3,
    )
    measured = f"{shlex.join(command)}, {_times(times)}"
    if command != list(expected.health_test):
        return failed(measured, limit, "the command differs")
    if times != wanted_times:
        return failed(measured, limit, "the times differ")
    in_use = (((evidence.container or {}).get("Config") or {}).get("Healthcheck") or declared).get("Test") or test
    if in_use[0] == "NONE":
        return failed(measured, limit, "the container switches the health check off")
    return passed(measured, limit)


@GROUP.check(
    "config-port",
    "Exposed port",
    severity="low",
    remedy="Set go_service_port to the port the service listens on; the Dockerfile exposes that one, and those of go_service_publish_more.",
    rules=("CIS 5.9",),
)
def config_port(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's EXPOSE is go_service_port and the ports of go_service_publish_more; a base image's own ports
    count too."""
    exposed = sorted(evidence.image.config.get("ExposedPorts") or {})
    wanted = sorted({f"{expected.port}/tcp", *(more.inside for more in expected.publish_more)})
    limit, measured = listed(wanted), listed(exposed) or "none"
    if exposed != wanted:
        return failed(measured, limit, "other ports are exposed" if set(wanted) <= set(exposed) else "the port is not exposed")
    return passed(measured, limit)


@GROUP.check(
    "config-stop-signal",
    "Stop signal",
    severity="low",
    remedy="Set go_service_stop_signal and build the image with this role.",
)
def config_stop_signal(evidence: Evidence, expected: Expected) -> Outcome:
    """The signal that ends the service is go_service_stop_signal, in the image and in the container; where none is asked
    for, it is the base image's, or SIGTERM."""
    config = (evidence.container or {}).get("Config") or {}
    found = {
        place: held.get("StopSignal") or "SIGTERM" for place, held in (("image", evidence.image.config), ("container", config)) if held
    }
    measured = listed(dict.fromkeys(found.values())) or "SIGTERM"
    limit = expected.stop_signal or measured
    wrong = [place for place, held in found.items() if held != limit]
    if expected.stop_signal and wrong:
        return failed(measured, limit, f"it is another one in the {' and the '.join(wrong)}")
    return passed(measured, limit)


@GROUP.check(
    "config-env-secrets",
    "Secrets in environment and history",
    severity="critical",
    remedy="Remove it from go_service_build_args and go_service_build_env, and give it to the service at run time, by a mounted "
    "file. If the image has "
    "left this machine, change the secret.",
    rules=("CIS 4.10", "Dockle CIS-DI-0010", "trivy AVD-DS-0031", "OWASP #12"),
)
def config_env_secrets(evidence: Evidence, _expected: Expected) -> Outcome:
    """No variable of the image, and no build argument that its history keeps, has a name like PASSWORD, SECRET, TOKEN
    or KEY, or holds an address with a password."""
    pairs = list(evidence.image.config.get("Env") or ())
    for step in evidence.image.history:
        kept = _BUILD_ARGUMENTS.match(step)
        pairs += kept[1].split(" ") if kept else []
    found = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name in _HARMLESS_NAMES:
            continue
        if _SECRET_NAME.search(name) or _URL_WITH_PASSWORD.search(value):
            found.append(name)
    names = list(dict.fromkeys(found))
    if names:
        return failed(count(len(names), "variable"), "none", listed(names))
    return passed("none", "none")


@GROUP.check(
    "config-labels",
    "Labels",
    severity="low",
    remedy="Build the image with this role, which sets them.",
    rules=("OCI annotations", "OWASP #13"),
)
def config_labels(evidence: Evidence, expected: Expected) -> Outcome:
    """The OCI labels title, version, base.name and base.digest are set, created, source and revision too where the
    source is a git checkout, and name, title and version are those that were asked for. `created` is the source's
    date, not the build's."""
    labels = evidence.image.labels
    limit = "title, version, created, source, revision, base"
    missing = [name for name in _LABELS_REQUIRED if not labels.get(name)]
    different = [name for name, value in expected.labels.items() if labels.get(name) != value]
    created = labels.get(OCI + "created", "")
    measured = count(len(labels), "label")
    if missing:
        return failed(measured, limit, f"missing: {listed(missing)}")
    if different:
        return failed(measured, limit, f"not as asked for: {listed(different)}")
    if created and not is_rfc3339(created):
        return failed(measured, limit, f"{OCI}created is {created!r}, not a date of RFC 3339")
    if expected.source_date and created != expected.source_date:
        return failed(measured, limit, f"{OCI}created is {created}, but the source's date is {expected.source_date}")
    unknown = [name.removeprefix(OCI) for name in _LABELS_WISHED if not labels.get(name)]
    if unknown:
        return passed(measured, limit, f"without {' and '.join(unknown)}: the source is no git checkout with a remote")
    return passed(measured, limit)


@GROUP.check(
    "config-base",
    "Base image",
    severity="medium",
    remedy='Set go_service_runtime_image to an image with a release tag, like "alpine:3.24", or a digest.',
    rules=("CIS 4.2", "hadolint DL3006", "hadolint DL3007", "trivy AVD-DS-0001", "checkov CKV_DOCKER_7"),
)
def config_base(evidence: Evidence, expected: Expected) -> Outcome:
    """The base's reference has a digest, or a tag other than latest, and the image's lowest layers are those of the base. For a rollback to an image
    that was proven before, the base of that time counts."""
    base = evidence.base
    wanted = expected.base_name or base.reference
    measured = wanted if wanted == base.reference else f"{base.reference} instead of {wanted}"
    limit = "a release tag or a digest"
    _repository, tag, digest = parts_of(wanted)
    if not digest and tag in ("", "latest"):
        return failed(measured, limit, f"{wanted} changes with each new release")
    if not base.found:
        return warned(measured, limit, f"the base {base.reference} is no longer on this host, so its layers cannot be compared")
    if not base.matches:
        return failed(measured, limit, f"the image is not built on the {base.reference} of this host", "Build the image again.")
    if base.renewed:
        return passed(measured, limit, f"it was proven before, on what {base.reference} was then")
    return passed(measured, limit)


@GROUP.check(
    "config-command",
    "Entry point",
    severity="medium",
    remedy='Write ENTRYPOINT as a list, like ["/usr/local/bin/name"]. A shell in between does not pass on the stop signal.',
    rules=("hadolint DL3025",),
)
def config_command(evidence: Evidence, _expected: Expected) -> Outcome:
    """The first word of ENTRYPOINT and CMD is the binary itself, so that it is process 1 and gets the Engine's
    signals."""
    words = [*(evidence.image.config.get("Entrypoint") or ()), *(evidence.image.config.get("Cmd") or ())]
    measured = shlex.join(words) or "none"
    if not words or words[0] != evidence.binary_path:
        return failed(measured, evidence.binary_path, "process 1 is not the binary")
    return passed(measured, evidence.binary_path)


@GROUP.check(
    "config-workdir",
    "Working directory",
    severity="low",
    remedy="Set go_service_workdir and build the image with this role.",
)
def config_workdir(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's WORKDIR is go_service_workdir, where relative paths begin, and the container begins there as well."""
    container = (evidence.container or {}).get("Config") or {}
    found = evidence.image.config.get("WorkingDir") or "/"
    in_use = container.get("WorkingDir") or found
    if found != expected.workdir or in_use != found:
        return failed(listed(dict.fromkeys((found, in_use))), expected.workdir, "it is another directory than the one asked for")
    return passed(found, expected.workdir)


@GROUP.check(
    "config-volumes",
    "Declared volumes",
    severity="low",
    remedy="Remove the VOLUME from the Dockerfile, or choose another go_service_runtime_image.",
    rules=("Dockle DKL-DI-0002",),
)
def config_volumes(evidence: Evidence, _expected: Expected) -> Outcome:
    """No VOLUME of the image lies over /, /boot, /dev, /etc, /lib, /proc, /sys or /usr."""
    volumes = sorted(evidence.image.config.get("Volumes") or {})
    sensitive = [path for path in volumes if path.rstrip("/") in {name.rstrip("/") for name in _SENSITIVE_VOLUMES}]
    if sensitive:
        return failed(listed(volumes), "no system directory", listed(sensitive))
    return passed(listed(volumes) or "none", "no system directory")


def _health_command(test: list[str]) -> list[str]:
    """The words of a health check's command, in whichever form it is written; `|| exit 1` is left out, since any non-zero
    code means the same."""
    if test[0] != "CMD-SHELL":
        return test[1:]
    try:
        words = shlex.split(" ".join(test[1:]))
    except ValueError:
        return test[1:]
    return words[:-3] if words[-3:] == ["||", "exit", "1"] else words


def _times(times: tuple[float, float, float, float]) -> str:
    interval, timeout, start_period, retries = times
    tries = count(int(retries), "retry", "retries")
    return f"every {interval:g} s, timeout {timeout:g} s, start period {start_period:g} s, {tries}"
