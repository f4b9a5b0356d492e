"""How a run fails: where, why, what still runs, what to do.

A `Problem` says what is wrong and what to do, and may not know at which stage it was found. A `Failure` has everything about the end of a run; `Failure.of`
makes one from any exception, with what a `Progress` knows about the work: the stage, and what still runs.
"""

from __future__ import annotations

import contextlib
import errno
import re
import tarfile
import traceback
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import stages
from .interruption import Interrupted, heeding
from .secrets import mask, reveal, secret_values
from .settings import Settings
from .text import spelled, visible

# What still runs if nothing was done yet; this is also true if nothing ran before.
UNTOUCHED = "Nothing that ran before was touched."
# How programs say, in whatever case, that a file system is full.
FULL = r"no space left on device|disk quota exceeded"
DISK_FULL = "Free space on the host: df shows what is full, docker system df what the Engine uses; docker builder prune and docker image prune free space."
OWN_STORE = (
    "Let the user of this play build with the Engine's own builder (docker buildx use default; docker buildx ls shows all), or set go_service_builder: "
    "docker_image. A builder with the driver docker-container, kubernetes or remote has its own store: it does not see the base images of the Engine, and "
    "the Engine does not get the image that it builds."
)

# A word as in the role's own sentences: a secret value of this form cannot be distinguished from such a word there.
_WORD = re.compile(r"[a-z]{1,12}")
# Lines that are printed again and again often differ only in the time, a duration, the client's address, and the id of the request.
_VARIES = re.compile(
    r"""\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:\ ?(?:Z|[+-]\d\d:?\d\d))?
    | \b(?:ts|time|timestamp)["']?[=:]\ ?["']?\d+(?:\.\d+)?(?:e\+?\d+)?
    | \b\w*(?:duration|elapsed|latency|took)\w*["']?[=:]\ ?["']?\d+(?:\.\d+)?(?:e-?\d+)?
    | (?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?\ ?(?:ns|us|\u00b5s|\u03bcs|ms|s)\b
    | (?<=127\.0\.0\.1:)\d+ | (?<=\[::1\]:)\d+
    | \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b | \b[0-9a-f]{16}(?:[0-9a-f]{16})?\b""",
    re.VERBOSE,
)


class Problem(Exception):
    """What is wrong, and what to do about it.

    message: what happened; remedy: what to change, as sentences; evidence: last log lines and health log. stage: for kinds of problems that always
    belong to the same stage, wherever they are found.
    """

    stage = ""
    remedy = "Run again."

    def __init__(self, message: str, remedy: str = "", evidence: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.remedy
        self.evidence = folded(evidence)


class Failure(Exception):
    """A run ended without the new version in place.

    stage: where, one of `stages`; message: what happened; remedy: what to do; still_runs: what runs now; evidence: last log lines and health log.
    """

    def __init__(self, stage: str, message: str, remedy: str, still_runs: str, evidence: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.remedy = remedy
        self.still_runs = still_runs
        self.evidence = folded(evidence)

    @classmethod
    def of(cls, error: BaseException, stage: str, still_runs: str) -> Failure:
        """Return the failure that an exception stands for; stage, still_runs: used if the exception does not have them itself."""
        if isinstance(error, Failure):
            return error
        if isinstance(error, Problem):
            return cls(error.stage or stage, error.message, error.remedy, still_runs, error.evidence)
        if isinstance(error, OSError):
            return cls(stage, _words(error), _remedy(error), still_runs)
        if isinstance(error, (tarfile.TarError, EOFError, zlib.error)):
            return cls(
                stage,
                f"an archive cannot be read: {error}",
                "Run again; if it fails again, look for errors of the host's disk.",
                still_runs,
            )
        said = "".join(traceback.format_exception_only(type(error), error)).strip()
        remedy = "This is an error in the role itself. Run again with -vvv, which shows where it is, and tell the role's authors."
        return cls(stage, f"unexpected: {said}", remedy, still_runs)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Failure:
        """Return the failure from which `as_dict` made this."""
        return cls(data["stage"], data["message"], data["remedy"], data["still_runs"], data["evidence"])

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as the report has it (docs/report.schema.json)."""
        return {
            "stage": self.stage,
            "message": self.message,
            "remedy": self.remedy,
            "still_runs": self.still_runs,
            "evidence": self.evidence,
        }

    def masked(self, secrets: tuple[str, ...]) -> Failure:
        """Return the same without secret values; in the role's own sentences, a value that is an ordinary word is not replaced."""
        no_words = tuple(secret for secret in secrets if not _WORD.fullmatch(secret))
        message, remedy, still_runs = (mask(text, no_words) for text in (self.message, self.remedy, self.still_runs))
        return Failure(self.stage, message, remedy, still_runs, mask(self.evidence, secrets))

    def text(self, name: str, page: str = "") -> str:
        """Return the text for a person: what happened to which service, its last lines, what still runs, what to do; page: path of the report."""
        lines = [f"{name}: {self.message}"]
        if self.evidence:
            lines += ["", *(f"  | {line}" for line in self.evidence), ""]
        lines += [f"What still runs: {self.still_runs}", f"What to do: {self.remedy}"]
        return "\n".join([*lines, f"Report: {page}"] if page else lines)


class NoHealthCheck(Failure):
    """An image has no health check."""

    def __init__(self, image: str) -> None:
        super().__init__(
            stages.CANDIDATE,
            f"the image {image} has no health check, so nothing can prove it",
            "Build it with this role, or give its Dockerfile a HEALTHCHECK.",
            UNTOUCHED,
        )


@dataclass
class Progress:
    """How far the work has got, for failures that do not know it themselves."""

    stage: str
    still_runs: str

    def at(self, stage: str, still_runs: str = "") -> None:
        """Go on to a stage; still_runs: what runs from now on, if that changes."""
        self.stage = stage
        self.still_runs = still_runs or self.still_runs


def failed(error: Exception, name: str, progress: Progress, verbosity: int, secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the result of a module or an action that ends with an exception, in a form that can be shown. If it is a bug of the role, -vvv
    shows the traceback. secrets: the secret values that may be in it and are replaced, as `secret_values` returns them.
    """
    failure = Failure.of(error, progress.stage, progress.still_runs).masked(secrets)
    result = {"failed": True, "changed": False, "msg": failure.text(name), "failure": failure.as_dict()}
    if verbosity >= 3 and not isinstance(error, (Failure, Problem)):
        result["traceback"] = traceback.format_exception(type(error), error, error.__traceback__)
        result["traceback"] = mask(result["traceback"], secrets)
    return dict(visible(result))


@contextlib.contextmanager
def ending(module: Any, progress: Progress, known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the options of an Ansible module, with the secret values put into its settings, and end the module with a failure if its work raises an
    exception or a signal arrives. known: is part of the result of a failure, too, with what the work has put into it by then.
    """
    params = dict(module.params)
    secrets: tuple[str, ...] = ()
    try:
        params["settings"] = Settings.from_json(params["settings"])
        if "secrets" in params:
            params["settings"] = reveal(params["settings"], params["secrets"])
            secrets = secret_values(vars(params["settings"]))
        with heeding():
            yield params
    except (Exception, Interrupted) as error:
        if isinstance(error, Interrupted):
            error = Problem(
                f"the run was ended by the signal {error.name}", "Run again: the next run first finishes or undoes what this run had begun."
            )
        result = failed(error, str(module.params["settings"].get("name")), progress, module._verbosity, secrets)
        del result["failed"]
        module.fail_json(**{**result, **known})


def folded(lines: Iterable[str]) -> list[str]:
    """Return lines with control characters spelled out; consecutive lines that differ only in what `_VARIES` matches become one, with their number."""
    found: list[list[Any]] = []
    for line in lines:
        clean = spelled(str(line)).rstrip()
        key = _VARIES.sub("", clean)
        if found and found[-1][0] == key:
            found[-1][1:] = [clean, found[-1][2] + 1]
        else:
            found.append([key, clean, 1])
    return [line if times == 1 else f"{line} ({times} times)" for _key, line, times in found]


def _words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror or error}" if error.filename else str(error.strerror or error)


def _remedy(error: OSError) -> str:
    """Return what to do about an error of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if error.errno == errno.EROFS:
        return "Make that file system writable, or choose another directory: go_service_work_dir on the host, go_service_report_dir on the controller."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Give the user of this play the right to it, use become, or choose another directory (go_service_work_dir, go_service_report_dir)."
    return "Correct that path on the machine, or choose another directory (go_service_work_dir, go_service_report_dir), then run again."
