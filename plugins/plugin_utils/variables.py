"""The role's input: checked beyond what argument specs can say, and brought to one typed form.

`check` takes the raw values of all go_service_* variables (names without the prefix) and returns the settings the rest of the
role works with, or raises InputError with every problem found, each naming the variable, its value and what is allowed.
"""

from __future__ import annotations

import posixpath
import re
import textwrap
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..module_utils.common.failure import Problem
from ..module_utils.common.names import LABELS, OWN_LABELS
from ..module_utils.common.places import absolute, below, system_place
from ..module_utils.common.references import is_image_reference
from ..module_utils.common.secrets import SECRET, secret_values
from ..module_utils.common.settings import (
    BUDGETS,
    BUILDERS,
    DEPLOY_STRATEGIES,
    PLATFORMS,
    PROTOCOLS,
    SIZES,
    TCP,
    Budget,
    Endpoint,
    File,
    Publication,
    Settings,
)
from ..module_utils.common.stages import INPUT
from ..module_utils.common.text import SECRET_NAME, did_you_mean
from ..module_utils.image.module_access import NETRC, encrypted, machines
from ..module_utils.source.address import fault_of, is_address
from .units import Rejected, parse_duration, parse_publish, parse_size

PREFIX = "go_service_"

# An image repository of one part that is also valid as a container's name, which has at least two characters.
_NAME = re.compile(r"\A(?=..)[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*\Z")
_USER = re.compile(r"\A[a-z_][a-z0-9_-]{0,30}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_ALLOWED_NAME = "letters, digits and _ are allowed, not starting with a digit"
_ENV_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_PACKAGE = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9+_.-]*(?:[=~<>]{1,2}[A-Za-z0-9+_.-]+)?\Z")
_BUILD_TAG = re.compile(r"\A[A-Za-z0-9_.]+\Z")
_LDFLAGS = re.compile(r"\A[A-Za-z0-9 _.,:/@%+=-]*\Z")
_PATH_IN_MODULE = re.compile(r"\A[A-Za-z0-9_.~@+/-]*\Z")
_HEALTH_PATH = re.compile(r"\A/[A-Za-z0-9._~!@,:+%/=?-]*\Z")
_HOST = re.compile(r"\A(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])\Z")
_HEADER = re.compile(r"\A[A-Za-z0-9-]+\Z")
_LABEL = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_SIGNAL = re.compile(r"\ASIG(?:ABRT|ALRM|HUP|INT|QUIT|TERM|USR1|USR2|WINCH|RTMIN(?:\+[0-9]{1,2})?)\Z")
# A host in the form of git and .netrc; and a path on it, the beginning of a module's path, for which a key is used.
_GIT_HOST = re.compile(r"\A[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?\Z")
_GIT_PLACE = re.compile(r"\A[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]*)*\Z")
_GIT_USER = re.compile(r"\A[A-Za-z0-9_.@+-]+\Z")
_SSH_USER = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_FILE_NAME = re.compile(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
_LARGEST_SECRET = 1 << 20
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
# They are part of one argument of a shell, for which Linux allows 128 KiB.
_LARGEST_CERTIFICATES = 1 << 16
_CAPABILITY = re.compile(r"\A(?:CAP_)?[A-Z_]+\Z")
_NETWORK = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_TAG = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DATABASE = re.compile(r"\A(?:/[^\s?#%]*|https?://[A-Za-z0-9\[][^\s@?#]*)\Z")
# Docker distinguishes a registry from a repository of Docker Hub by a dot or a colon in the first part, or if that part is localhost.
_REGISTRY = re.compile(
    r"\A(?:localhost|(?=[^/]*[.:])(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]))(?::[0-9]{1,5})?"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z"
)
_MODE = re.compile(r"\A0?[0-7]{2}[0145]\Z")
_PATH_IN_IMAGE = re.compile(r"\A[A-Za-z0-9_.@+/~-]+\Z")
_VOLUME_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]+\Z")
_SMALLEST_MEMORY = 6 << 20  # the Engine's own minimum

SOURCE_TYPES = ("controller", "host", "git")
HEALTH_SCHEMES = ("http", "https")
RESTART_POLICIES = ("no", "on-failure", "unless-stopped", "always")


class InputError(Problem):
    """One or more variables are wrong; `problems` lists them as sentences."""

    stage = INPUT
    remedy = "Correct the variables above."

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the role go_service cannot work with this input", evidence=problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


def _text(value: Any, *, empty: bool = True) -> str:
    """Take a single line of text; numbers become text, booleans do not (YAML writes them for yes, no, on, off)."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Rejected(f"is {_kind(value)}, not a text; put it in quotes")
    text = str(value)
    if _CONTROL.search(text):
        raise Rejected("has a line break or a control character in it; these are never allowed, so write it in one line")
    if not empty and not text:
        raise Rejected("is empty; give it a value")
    return text


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a mapping", type(None): "null"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    return "a text"


def _matching(regex: re.Pattern, allowed: str, *, empty: bool = False) -> Callable[[Any], str]:
    def take(value: Any) -> str:
        text = _text(value)
        if not (empty and text == "") and not regex.match(text):
            raise Rejected(f"is not valid; {allowed}")
        return text

    return take


def _integer(low: int, high: int, unit: str = "") -> Callable[[Any], int]:
    def take(value: Any) -> int:
        text = value if isinstance(value, int) and not isinstance(value, bool) else None
        if text is None and isinstance(value, str) and re.match(r"\A-?[0-9]{1,20}\Z", value):
            text = int(value)
        if text is None:
            raise Rejected(f"is {_kind(value)}, not a whole number{unit} from {low} to {high}")
        if not low <= text <= high:
            raise Rejected(f"is out of range; a whole number{unit} from {low} to {high} is allowed")
        return text

    return take


def _number(low: float, unit: str = "", *, or_equal: bool = False) -> Callable[[Any], float]:
    def take(value: Any) -> float:
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(_text(value))
        except (ValueError, Rejected):
            raise Rejected(f"is {_kind(value)}, not a number{unit}") from None
        if not (low < number < 1e9 or (or_equal and number == low)):
            raise Rejected(f"is out of range; a number{unit} {'from' if or_equal else 'above'} {low:g} is allowed")
        return number

    return take


def _boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise Rejected("is not a boolean; write true or false")


def _choice(choices: Iterable[str]) -> Callable[[Any], str]:
    def take(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Rejected(f"is not one of: {', '.join(filter(None, choices))}")
        return value

    return take


def _list_of(take_one: Callable[[Any], Any]) -> Callable[[Any], tuple]:
    def take(value: Any) -> tuple:
        if not isinstance(value, (list, tuple)):
            raise Rejected(f"is {_kind(value)}, not a list; write it like [one, another]")
        taken, problems = [], []
        for item in value:
            try:
                taken.append(take_one(item))
            except Rejected as problem:
                problems.append(f"has the item {item!r}, which {problem}")
        if problems:
            raise Rejected(*problems)
        return tuple(taken)

    return take


def _before_a_value(key: Any) -> Any:
    """Return a name without the part after a "=", a ":" or a blank, which was probably meant as a value."""
    return re.split(r"[=:\s]", key.lstrip())[0] if isinstance(key, str) else key


def _mapping_of(
    name: re.Pattern | None, take_value: Callable[[Any], Any], *, allowed: str = _ALLOWED_NAME, secret: bool = False
) -> Callable[[Any], dict]:
    """secret: a value may be secret, and is not shown."""

    def shown_name(key: Any) -> Any:
        return _before_a_value(key) if secret else key

    def take(value: Any) -> dict:
        if not isinstance(value, Mapping):
            raise Rejected(f"is {_kind(value)}, not a mapping; write it like {{name: value}}")
        taken, problems = {}, []
        for key, item in value.items():
            try:
                text = _text(key, empty=False)
                if name is not None and not name.match(text):
                    raise Rejected(f"is not valid; {allowed}")
            except Rejected as problem:
                problems.append(f"has the name {shown_name(key)!r}, which {problem}")
                continue
            try:
                taken[text] = take_value(item)
            except Rejected as problem:
                shown = "a value (not shown) that" if secret else f"the value {item!r}, which"
                problems.append(f"has {shown_name(key)!r} with {shown} {problem}")
        if problems:
            raise Rejected(*problems)
        return taken

    return take


def _duration(value: Any) -> float:
    return parse_duration(_text(value))


def _log_size(value: Any) -> int:
    return parse_size(_text(value), SIZES["log_max_size"])


def _memory(value: Any) -> int:
    size = parse_size(_text(value), SIZES["memory"])
    if size < _SMALLEST_MEMORY:
        raise Rejected("is out of range; the Engine takes 6m or more")
    return size


def _publish(value: Any) -> Endpoint | None:
    return parse_publish(_text(value))


def _publication(value: Any) -> Publication:
    text, slash, protocol = _text(value, empty=False).partition("/")
    where, _colon, port = text.rpartition(":")
    endpoint = parse_publish(where) if where else None
    if endpoint is None or not re.match(r"\A[0-9]{1,5}\Z", port) or not 1 <= int(port) <= 65535 or (slash and protocol not in PROTOCOLS):
        raise Rejected(
            'is not a published port; write address and port on the host, and the port in the container, like "127.0.0.1:9090:9090"; append "/udp" for UDP'
        )
    return Publication(endpoint, int(port), protocol or TCP)


def _content(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Rejected(f"is {_kind(value)}, not the content of a file; put it in quotes")
    text = str(value)
    if not text or "\0" in text or len(text) > _LARGEST_SECRET:
        raise Rejected("is empty, larger than 1 MiB, or not text; the content of a file is allowed, with one line or more")
    return text


def _volume(value: Any) -> str:
    text = _text(value, empty=False)
    parts = text.split(":")
    usage = 'write "/host/path:/container/path", or "volume-name:/container/path"; append ":ro" if it is only read'
    if len(parts) not in (2, 3) or (len(parts) == 3 and not set(parts[2].split(",")) <= {"ro", "rw", "z", "Z"}):
        raise Rejected(f"is not a volume; {usage}")
    source, target = parts[:2]
    if not source.startswith("/") and not _VOLUME_NAME.match(source):
        raise Rejected(f"does not begin with an absolute path or a volume name; {usage}")
    if not target.startswith("/") or not posixpath.normpath(target).strip("/"):
        raise Rejected(f"has no absolute path below / in the container; {usage}")
    return text


def _own_labels(names: Iterable[str], of: str) -> None:
    """Raise Rejected if labels are the role's own: it gives them itself, and one of the user's would be lost without a word."""
    own = [name for name in names if name.startswith(LABELS) or (of == "images" and name in OWN_LABELS)]
    if own:
        raise Rejected(*(f"has the name {name!r}, which this role itself sets on its {of}" for name in own))


def _image_labels(value: Any) -> dict[str, str]:
    taken = _mapping_of(_LABEL, _text, allowed="letters, digits and . _ / - are allowed")(value)
    _own_labels(taken, "images")
    return taken


def _labels(value: Any) -> dict[str, str]:
    taken = _mapping_of(None, _text, secret=True)(value)
    _own_labels(taken, "containers")
    return taken


def _tmpfs(value: Any) -> dict[str, str]:
    taken = _mapping_of(None, _text)(value)
    wrong = [path for path in taken if not path.startswith("/") or not posixpath.normpath(path).strip("/")]
    if wrong:
        raise Rejected(*(f'has the name {path!r}, which is not an absolute path in the container; write it like "/tmp"' for path in wrong))
    return taken


def _image(value: Any) -> str:
    text = _text(value, empty=False)
    if not is_image_reference(text):
        raise Rejected('is not an image reference; write it like "alpine:3.24" or "registry.example.com/base/alpine:3.24"')
    return text


def _uid(value: Any) -> int | None:
    return None if value == "" else _integer(1, 60000)(value)


def _ldflags(value: Any) -> str:
    text = _text(value)
    if not _LDFLAGS.match(text):
        raise Rejected("has characters that a shell would read; letters, digits, blanks and _ . , : / @ % + = - are allowed")
    return text


def _budget(value: Any) -> Budget:
    given = _mapping_of(None, lambda item: item)(value)
    taken: dict[str, Any] = {}
    problems = []
    for name, limit in given.items():
        if name not in BUDGETS:
            problems.append(f"has no budget named {name!r}{did_you_mean(name, BUDGETS)}; there are {', '.join(BUDGETS)}")
            continue
        try:
            counts = name.startswith("max_")
            taken[name] = None if limit is None else (_integer(0, 1_000_000)(limit) if counts else _number(0)(limit))
        except Rejected as problem:
            problems.append(f"has {name!r} with the value {limit!r}, which {problem}")
    if problems:
        raise Rejected(*problems)
    return Budget(**taken)


def _reason(value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise Rejected("gives no reason; write why the check may fail")
    return text


def _module_path(value: Any) -> str:
    text = _text(value)
    if not _PATH_IN_MODULE.match(text) or ".." in text.split("/"):
        raise Rejected('is not a path within the module; write it like "./cmd/server"')
    return text


def _pattern(value: Any) -> str:
    text = _text(value, empty=False)
    if ".." in text.split("/"):
        raise Rejected(
            'is not a .dockerignore pattern within the source; write a path from its top, like "/web", or "**/web" for any depth'
        )
    return text


def _path_in_image(value: Any) -> str:
    text = _text(value, empty=False)
    if not _PATH_IN_IMAGE.match(text) or ".." in text.split("/"):
        raise Rejected('is not a path in the image; letters, digits and _ . @ + / ~ - are allowed, and no ".."')
    # Two slashes at the beginning mean something else to POSIX alone.
    return re.sub(r"\A//", "/", posixpath.normpath(text))


def _workdir(value: Any) -> str:
    text = _path_in_image(value)
    if not text.startswith("/"):
        raise Rejected('is not an absolute path in the image; write it like "/app"')
    return text


def _path_in_source(value: Any) -> str:
    text = _text(value, empty=False)
    if text.startswith("/") or ".." in text.split("/") or posixpath.normpath(text) == ".":
        raise Rejected('is not a path within the source; write it from the top of the source, like "web/templates"')
    return posixpath.normpath(text)


def _mapping_with(
    needed: Mapping[str, Callable[[Any], Any]], optional: Mapping[str, Callable[[Any], Any]], *, secret: bool = False
) -> Callable[[Any], dict]:
    """Take a mapping with only these names. secret: a value may be secret, and is not shown."""
    known = {**needed, **optional}

    def take(value: Any) -> dict:
        if not isinstance(value, Mapping):
            raise Rejected(f"is {_kind(value)}, not a mapping of {', '.join(known)}")
        missing = [name for name in needed if name not in value]
        shown_names = [_before_a_value(name) if secret else name for name in value if name not in known]
        unknown = [f"{name!r}{did_you_mean(str(name), known)}" for name in shown_names]
        if missing:
            raise Rejected(f"has no {', '.join(missing)}")
        if unknown:
            raise Rejected(f"has {', '.join(unknown)}; there are {', '.join(known)}")
        taken = {}
        for name, item in value.items():
            try:
                taken[name] = known[name](item)
            except Rejected as problem:
                shown = "a value (not shown) that" if secret else f"the value {item!r}, which"
                raise Rejected(f"has {name!r} with {shown} {problem}") from None
        return taken

    return take


def _word(value: Any) -> str:
    text = _text(value, empty=False)
    if re.search(r"\s", text):
        raise Rejected("has a blank in it, which is not allowed in a .netrc file")
    return text


def _ssh_key(value: Any) -> str:
    text = _content(value)
    if not re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*-----END ", text, re.S):
        raise Rejected("is not a private SSH key; give the complete content of its file, from -----BEGIN to -----END")
    if encrypted(text):
        raise Rejected("is a private key with a passphrase, which nobody could enter; a key without a passphrase is allowed")
    return text


def _known_hosts(value: Any) -> str:
    text = _content(value)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or not all(len(line.split()) >= 3 for line in lines):
        raise Rejected(
            "is not a list of host keys; lines like those of ssh-keyscan are allowed, each with the host, the type of key and the key"
        )
    return text


def _netrc(value: Any) -> dict[str, str]:
    text = _content(value)
    if not machines(text):
        raise Rejected("names no machine; lines like those of a .netrc file are allowed: machine HOST login USER password TOKEN")
    return {NETRC: text}


_BY_TOKEN = _mapping_with({"token": _word}, {"user": _matching(_GIT_USER, "letters, digits and _ . @ + - are allowed")}, secret=True)
_BY_KEY = _mapping_with(
    {"ssh_key": _ssh_key, "known_hosts": _known_hosts},
    {
        "user": _matching(_SSH_USER, "letters, digits and _ . - are allowed, not starting with a hyphen"),
        "port": lambda value: str(_integer(1, 65535)(value)),
    },
    secret=True,
)


def _build_secrets(value: Any) -> dict[str, dict[str, str]]:
    """Take the credentials for private modules, by host. A message about a wrong one does not show it."""
    if not isinstance(value, Mapping):
        raise Rejected(f"is {_kind(value)}, not a mapping; write it like {{git.example.com: {{user: ci, token: ...}}}}")
    taken, problems = {}, []
    for where, given in value.items():
        try:
            by_key = isinstance(given, Mapping) and "ssh_key" in given
            if where == NETRC:
                taken[NETRC] = _netrc(given)
                continue
            if not isinstance(where, str) or not (_GIT_PLACE if by_key else _GIT_HOST).match(where):
                # The name may have been meant as a value.
                problems.append(
                    "has a name (not shown) that is not valid; write a host, like git.example.com, with its port where that is not 443, with ssh_key also a path on it, like "
                    f"github.com/company/module, or {NETRC}"
                )
                continue
            if not isinstance(given, Mapping) or not {"token", "ssh_key"} & set(given):
                raise Rejected("is not a credential; a mapping with token and user, or with ssh_key and known_hosts, is allowed")
            taken[where] = (_BY_KEY if by_key else _BY_TOKEN)(given)
        except Rejected as problem:
            problems.append(f"has {where!r} with a value (not shown) that {problem}")
    if problems:
        raise Rejected(*problems)
    return taken


def _certificates(value: Any) -> str:
    """Take certificates of authorities; text between them is left out."""
    if value == "":
        return ""
    text = _content(value)
    if "PRIVATE KEY-----" in text:
        raise Rejected("has a private key in it, which everybody could read in the image; certificates are allowed")
    found = _CERTIFICATE.findall(text)
    if not found or len(text) > _LARGEST_CERTIFICATES:
        raise Rejected(
            "is not the content of a file of certificates; blocks from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE----- are allowed, at most 64 KiB"
        )
    return "".join(
        f"-----BEGIN CERTIFICATE-----\n{textwrap.fill(''.join(body.split()), 64)}\n-----END CERTIFICATE-----\n" for body in found
    )


def _mode(value: Any) -> str:
    # Without quotes 0755 is the number 493 for YAML.
    if not isinstance(value, str) or not _MODE.match(value):
        raise Rejected(
            'is not the mode of a file; write it in quotes and octal digits, like "0755" or "0640", without write permission for others'
        )
    return value.rjust(4, "0")


_FILE = _mapping_with({"src": _path_in_source}, {"dest": _path_in_image, "owner": lambda value: _text(value, empty=False), "mode": _mode})


def _file(value: Any) -> File:
    taken = _FILE(value)
    return File(taken["src"], taken.get("dest", taken["src"]), taken.get("owner", "root"), taken.get("mode", ""))


_ACCOUNT = _mapping_with(dict.fromkeys(("username", "password"), lambda value: _text(value, empty=False)), {}, secret=True)


def _account(value: Any) -> dict[str, str]:
    """Take an account. A message about a wrong one does not show it."""
    try:
        return {} if value == {} else dict(_ACCOUNT(value))
    except Rejected as problem:
        raise Rejected(f"(not shown) {problem}; a mapping of username and password is allowed") from None


def _source_version(value: Any) -> str:
    text = _text(value, empty=False)
    # What git takes for an option or another word, or does not accept as the name of a reference: https://git-scm.com/docs/git-check-ref-format
    if text.startswith("-") or re.search(r"[\s~^:?*\[\\]|\.\.", text):
        raise Rejected("is not a branch, a tag or a commit; write only its name")
    return text


def _work_dir(value: Any) -> str:
    text = _text(value, empty=False)
    if not text.startswith(("/", "~")):
        raise Rejected('is not an absolute path on the host; write it like "/var/lib/go-services" or "~/go-services"')
    return text


# The allowed values of each variable, by its name without the prefix, and their conversion: in the order of roles/go_service/meta/argument_specs.yml.
FIELDS: dict[str, Callable[[Any], Any]] = {
    "name": _matching(_NAME, 'two or more lower-case letters and digits, with single ".", "_" or "-" between them, are allowed'),
    "source": lambda value: _text(value, empty=False),
    "source_type": _choice(SOURCE_TYPES),
    "source_version": _source_version,
    "module_dir": _module_path,
    "main_package": _module_path,
    "version": _matching(_TAG, "letters, digits, _ . and - are allowed, 128 at the most", empty=True),
    "builder_image": _image,
    "runtime_image": _image,
    "platform": _choice(("", *PLATFORMS)),
    "builder": _choice(BUILDERS),
    "build_tags": _list_of(_matching(_BUILD_TAG, "letters, digits, _ and . are allowed")),
    "ldflags": _ldflags,
    "run_tests": _boolean,
    "build_args": _mapping_of(_ENV_NAME, _text, secret=True),
    "build_env": _mapping_of(_ENV_NAME, _text, secret=True),
    "build_secrets": _build_secrets,
    "build_modules": _text,
    "ca_certificates": _certificates,
    "ca_in_image": _boolean,
    "build_network": _matching(_NETWORK, 'write "default", "host", "none" or a network\'s name'),
    "build_timeout": _integer(1, 86400, " of seconds"),
    "dockerignore": _list_of(_pattern),
    "context_limit_mb": _number(0, " of megabytes"),
    "workdir": _workdir,
    "files": _list_of(_file),
    "directories": _list_of(_path_in_image),
    "packages": _list_of(_matching(_PACKAGE, 'write an Alpine package, like "tzdata" or "tzdata=2026a-r0"')),
    "image_labels": _image_labels,
    "user": _matching(_USER, "lower-case letters, digits, _ and - are allowed, starting with a letter or _"),
    "uid": _uid,
    "numeric_user": _boolean,
    "port": _integer(1, 65535),
    "publish": _publish,
    "publish_more": _list_of(_publication),
    "health_path": _matching(_HEALTH_PATH, 'it starts with "/" and holds letters, digits and . _ ~ ! @ , : + % / = ? -'),
    "health_host": _matching(_HOST, "write a host name or an IP address, IPv6 in brackets"),
    "health_scheme": _choice(HEALTH_SCHEMES),
    "health_headers": _mapping_of(_HEADER, _text, allowed="letters, digits and - are allowed"),
    "health_command": _list_of(lambda value: _text(value, empty=False)),
    "health_interval": _duration,
    "health_timeout": _duration,
    "health_start_period": _duration,
    "health_retries": _integer(1, 100),
    "args": _list_of(_text),
    "env": _mapping_of(_ENV_NAME, _text, secret=True),
    "secret_files": _mapping_of(
        _FILE_NAME, _content, allowed="letters, digits and . _ - are allowed, not starting with a dot", secret=True
    ),
    "volumes": _list_of(_volume),
    "labels": _labels,
    "network": _matching(_NETWORK, 'write "bridge", "host", "none" or a network\'s name'),
    "networks": _list_of(_matching(_NETWORK, "write a network's name")),
    "restart_policy": _choice(RESTART_POLICIES),
    "memory": _memory,
    "cpus": _number(0),
    "pids_limit": _integer(1, 4194304),
    "read_only": _boolean,
    "tmpfs": _tmpfs,
    "cap_drop": _list_of(_matching(_CAPABILITY, 'write a Linux capability, like "NET_RAW", or "ALL"')),
    "cap_add": _list_of(_matching(_CAPABILITY, 'write a Linux capability, like "NET_BIND_SERVICE"')),
    "log_max_size": _log_size,
    "log_max_file": _integer(1, 1000),
    "stop_timeout": _integer(0, 3600, " of seconds"),
    "stop_signal": _matching(_SIGNAL, 'write a signal that a program can handle, like "SIGINT", "SIGQUIT" or "SIGUSR1"', empty=True),
    "image_tag": _matching(_TAG, "letters, digits, _ . and - are allowed, 128 at the most", empty=True),
    "deploy_strategy": _choice(DEPLOY_STRATEGIES),
    "start_timeout": _number(0, " of seconds"),
    "stable_seconds": _number(0, " of seconds", or_equal=True),
    "keep_images": _integer(1, 1000),
    "lock_timeout": _integer(0, 86400, " of seconds"),
    "work_dir": _work_dir,
    "budget": _budget,
    "budget_warn_only": _list_of(_choice(BUDGETS)),
    "waivers": _mapping_of(None, _reason),
    "vulnerability_database": _matching(
        _DATABASE,
        "write an absolute path on the host, or an address that begins with https:// or http:// and holds no password",
        empty=True,
    ),
    "report_dir": lambda value: _text(value, empty=False),
    "registry": _matching(
        _REGISTRY, 'write its host, with port and path where it has them, like "registry.example.com:5000/team"', empty=True
    ),
    "registry_credentials": _account,
    "registry_ca": _certificates,
}
# Variables of playbooks/fleet.yml, which belong to a run and not to a service.
FLEET = ("build_host", "fleet", "fleet_serial")


# What overrides the host's variables, by the names of the settings: one of go_services, and what an entry point sets. The last one wins.
SERVICE, OVERRIDE = "__go_service_of", "__go_service_override"


def given(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a host's variables for the service that is processed now; template: of the action's templar."""
    merged = dict(variables)
    for name in (SERVICE, OVERRIDE):
        for setting, value in (template(variables[name]) if variables.get(name) else {}).items():
            merged[f"{PREFIX}{setting}"] = value
    return merged


def check_services(services: Any) -> list[str]:
    """Return the names of go_services; raise InputError with every problem of the list. The values are checked with each service's own input."""
    if not isinstance(services, (list, tuple)):
        raise InputError([f"go_services is {_kind(services)}, not a list of mappings, like [{{name: prices, source: ~/src/prices}}]."])
    problems: list[str] = []
    names: list[str] = []
    for number, service in enumerate(services, 1):
        which = f"service {number} of go_services"
        if not isinstance(service, Mapping):
            problems.append(f"{which} is {_kind(service)}, not a mapping, like {{name: prices, source: ~/src/prices}}.")
            continue
        name = service.get("name")
        if not isinstance(name, str) or not name:
            problems.append(f"{which} has no name. Give each service a name, like go_service_name.")
        elif name in names:
            problems.append(
                f"{which} has the same name {name!r} as service {names.index(name) + 1}. Services on one host must have different names."
            )
        names.append(str(name))
        for key in map(str, service):
            if key not in FIELDS:
                plain = key[len(PREFIX) :] if key.startswith(PREFIX) else ""
                hint = f" (write {plain})" if plain in FIELDS else did_you_mean(key, FIELDS)
                problems.append(
                    f"{which} has {key}, which is not a variable of the role without its prefix {PREFIX}{hint}. Correct or remove it."
                )
    if problems:
        raise InputError(problems)
    return names


def secret_variables(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, dict[str, str]]:
    """Return the values of a host's secret variables. Each action reads them anew, since they are in no result and in no fact.

    template: of the action's templar.
    """
    return {name: FIELDS[name](template(variables[PREFIX + name])) for name in SECRET if PREFIX + name in variables}


def secret_texts(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> tuple[str, ...]:
    """Return the secret values of a host's variables that `mask` replaces in text of others; template: of the action's templar."""
    given = {name: template(variables[PREFIX + name]) for name in FIELDS if PREFIX + name in variables}
    return secret_values({**given, **secret_variables(variables, template), "source": ""}, str(given.get("source", "")))


def unknown_names(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that begins with go_service_ and is none of the role's variables."""
    problems = []
    for name in sorted(names):
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in (*FIELDS, *FLEET):
            hint = did_you_mean(name[len(PREFIX) :], [*FIELDS, *FLEET], PREFIX)
            problems.append(f"{name} is not a variable of the role go_service{hint}. Correct or remove it.")
    return problems


def _across(settings: dict[str, Any]) -> list[str]:
    """Return the problems of combinations of values; settings: those values that are valid by themselves."""
    problems = []
    if settings.get("numeric_user") and settings.get("uid", 0) is None:
        problems.append("go_service_numeric_user is true, but go_service_uid is empty. Set go_service_uid to a number, like 10001.")
    if settings.get("platform") and settings.get("packages"):
        problems.append(
            f"go_service_packages has {', '.join(settings['packages'])}, and go_service_platform is {settings['platform']!r}: a package's programs for another "
            "platform cannot be run in the build. Set go_service_packages to [], use a go_service_runtime_image that has the packages, or build on a host of "
            "that platform."
        )
    source, source_type = settings.get("source", ""), settings.get("source_type", "git")
    if is_address(source) and source_type != "git":
        problems.append(
            f"go_service_source (not shown) is an address, but go_service_source_type is {source_type!r}. Set it to 'git', or give a path."
        )
    if source.startswith("-") and settings.get("source_type") == "git":
        problems.append("go_service_source (not shown) begins with a hyphen, which git takes for an option. Correct the address.")
    asked = [name for name, _value in urllib.parse.parse_qsl(settings.get("health_path", "").partition("?")[2], keep_blank_values=True)]
    for variable, names in (("health_headers", settings.get("health_headers", ())), ("health_path", asked)):
        # Everybody can read them in an image.
        secret = [name for name in names if SECRET_NAME.search(name)]
        if not secret:
            continue
        problems.append(
            f"go_service_{variable} has {', '.join(secret)}, whose value everybody could read in the image. "
            "Let the health check request a path that needs no secret, or use a command of the service itself (go_service_health_command)."
        )
    if settings.get("health_command") and (settings.get("health_headers") or settings.get("health_scheme") == "https"):
        problems.append(
            "go_service_health_command is set, and so is go_service_health_headers or go_service_health_scheme, which have no effect on a command. "
            "Remove one of them."
        )
    for variable in ("publish_more", "networks"):
        if settings.get("network") in ("host", "none") and settings.get(variable):
            problems.append(
                f"go_service_{variable} is set, but a container in the network {settings['network']!r} has no other network and publishes no port. "
                f"Set go_service_{variable} to [] or choose another go_service_network."
            )
    single = [name for name in settings.get("networks", ()) if name in ("host", "none")]
    if single:
        problems.append(
            f"go_service_networks has {', '.join(single)}, which cannot be combined with another network. Set only go_service_network to it."
        )
    own = [(settings["publish"], TCP)] if settings.get("publish") else []
    ends = [*((more.endpoint, more.protocol) for more in settings.get("publish_more", ())), *own]
    twice = sorted({str(end[0]) for end in ends if ends.count(end) > 1})
    if twice:
        problems.append(
            f"go_service_publish and go_service_publish_more have {', '.join(twice)} more than once. Choose another port of the host."
        )
    fault = fault_of(source) if settings.get("source_type") == "git" else ""
    if fault:
        problems.append(f"go_service_source (not shown) {fault}.")
    if settings.get("network") in ("host", "none") and settings.get("publish"):
        problems.append(
            f"go_service_publish is '{settings['publish']}', but a container in the network {settings['network']!r} publishes no port. "
            'Set go_service_publish to "" or choose another go_service_network.'
        )
    return problems


def _in_the_image(settings: dict[str, Any]) -> list[str]:
    """Return the problems with the paths of the service's files and directories in the image."""
    if not {"name", "workdir", "files", "directories", "user", "tmpfs", "volumes"} <= set(settings):
        return []
    workdir, name, problems = settings["workdir"], settings["name"], []
    covered = {**dict.fromkeys(settings["tmpfs"], "go_service_tmpfs")}
    covered.update({posixpath.normpath(volume.split(":")[1]): "go_service_volumes" for volume in settings["volumes"]})
    files = [(f"go_service_files puts {file.src} at {file.dest!r}", absolute(workdir, file.dest)) for file in settings["files"]]
    directories = [(f"go_service_directories has {path!r}", absolute(workdir, path)) for path in settings["directories"]]
    for what, place in [(f"go_service_workdir is {workdir!r}", workdir), *files, *directories]:
        system = system_place(place, name)
        if system:
            problems.append(f"{what}, which belongs to the system ({system}). Choose another place, like /app or /srv.")
    for what, place in files:
        hidden = below(place, covered)
        if hidden:
            problems.append(f"{what}, which {covered[hidden]} hides by a mount at {hidden}. Choose another place for one of them.")
        if [other for _what, other in files].count(place) > 1:
            problems.append(f"{what}, and another file at the same place. Choose another place for one of them.")
    for file in settings["files"]:
        if file.owner not in ("root", settings["user"]):
            problems.append(
                f"go_service_files gives {file.src} to {file.owner!r}, who is neither root nor go_service_user ({settings['user']})."
            )
    return problems


def check_variables(raw: Mapping[str, Any]) -> Settings:
    """Return the settings of raw values (names without prefix, every name of FIELDS); raise InputError with all problems.

    A value that is Rejected is one that could not be read.
    """
    settings: dict[str, Any] = {}
    problems = []
    for name, take in FIELDS.items():
        if name not in raw:
            problems.append(f"{PREFIX}{name} is missing. Its default is in roles/go_service/defaults/main.yml.")
            continue
        try:
            if isinstance(raw[name], Rejected):
                raise raw[name]
            settings[name] = take(raw[name])
        except Rejected as rejected:
            # For a list or a mapping, the message shows only the wrong part.
            # Secret values are not shown, and neither is an address, which may contain a password.
            whole = (
                name in SECRET
                or isinstance(raw[name], (Mapping, list, tuple, Rejected))
                or (name == "source" and re.search("[@:]", str(raw[name])))
                or "PRIVATE KEY" in str(raw[name])
            )
            problems += [f"{PREFIX}{name} {'' if whole else f'is {raw[name]!r}, which '}{problem}." for problem in rejected.args]
    problems += _across(settings) + _in_the_image(settings)
    if problems:
        raise InputError(problems)
    return Settings(**settings)
