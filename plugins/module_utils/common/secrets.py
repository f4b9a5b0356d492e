"""Secret values: how they are sent to the target, and how they are kept out of everything else.

The settings that every task, result and log may show contain only the names of secret variables. Their values are sent as one opaque argument
of a module (`no_log`), packed by `pack` on the controller and put back by `reveal` on the target. A `no_log` on the mapping itself would
replace each value wherever it occurs in a result, so a value like "1" would destroy ports and digests.

The output of other programs (logs of the service, of a build, of the Engine) may quote a value: `mask` replaces it.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import html
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .settings import Settings
from .text import spelled

# Settings whose values are secret, each a mapping of names to values.
SECRET = ("env", "build_env", "build_args", "build_secrets", "labels", "secret_files", "registry_credentials")
# The secret parts of a value that is itself a mapping: not the user's name, the port, and the public keys of a host.
_SECRET_PARTS = ("token", "ssh_key", "netrc")
MASK = "***"

# These contain beginnings of module paths, as in go.mod; if they were masked, nobody could tell which host refuses a module.
_PATTERNS = frozenset({"GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE"})

Values = Mapping[str, Mapping[str, Any]]

# Values that are not masked in text of other programs, since they reveal nothing: see docs/security.md.
_SHORTEST = 4
_WHOLE_WORDS = 8
_COMMON = frozenset(
    """
    true false none null auto default enabled disabled debug info warn warning error fatal panic trace verbose production development
    staging test testing local localhost json text plain logfmt http https tcp utf-8 root user admin service server client postgres
    mysql redis sqlite release prod
    """.split()  # noqa: SIM905 - a list of literals would be a page long
)
_NUMBER = re.compile(r"\A[0-9]{1,5}\Z|\A[0-9.]+(?:ms|s|m|h|k|mb|gb)?\Z")
# Also matches a password that is not quoted as it should be: then what follows the colon is not a port.
_CREDENTIALS = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*|[^/?#:@]+:(?![0-9]+[/?#]).*)@")
# The characters that an instruction of a Dockerfile escapes within double quotes.
_SPECIAL = re.compile(r'([\\"$])')
# Where a value with several parts has a password or a token: each program has its own notation for connections, and may quote only the password.
# No expression looks back or far ahead, since a value may be a file of a megabyte.
_PASSWORD_PLACES = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        # In one of several URLs: user:password@, or a token alone.
        r"//[^\s/?#:@]{0,256}:([^\s/?#@]{1,1024})@",
        r"https?://([^\s/?#:@]{1,1024})@",
        # user:password@tcp(host:port)/database, :password@host.
        r"(?:\A|[\s,;|\"'])[^\s/:@,;|\"']{0,256}:([^\s/@,\"']{1,1024})@",
        # user:password and nothing else.
        r"\A[^\s/:@=]{1,256}:([^\s/:]{1,1024})\s*\Z",
        # password=..., "token": "...", secret_key='...'.
        r"(?:pass|pwd|secret|token|key|credential|auth|signature)[\w.-]{0,40}[\"']?[ \t]?[=:][ \t]?"
        r"(\"(?:[^\"\\]|\\.){1,1024}\"|'(?:[^'\\]|\\.){1,1024}'|[^\s\"'&;,|#]{1,1024})",
        # As .netrc has it, and the header Authorization.
        r"\b(?:password|bearer|basic|token)[ \t]+([^\s\"',;]{1,1024})",
    )
)
_WAYS_TO_ASK = frozenset({"bearer", "basic", "token"})
# Each guess at a value costs this many rounds of SHA-256, about a twentieth of a second.
_ROUNDS = 100_000


def credentials(address: str) -> str:
    """Return what stands for a user and a password in a URL, "" if there is no password or token: the user of SSH is none."""
    found = _CREDENTIALS.match(address)
    return found[2] if found and (":" in found[2] or found[1] in ("http://", "https://")) else ""


def without_credentials(address: str) -> str:
    """Return a URL without its password or token, in the form that git gets. What a person may see is restricted further: `source.address`."""
    return _CREDENTIALS.sub(r"\1", address) if credentials(address) else address


def conceal(settings: Settings) -> Settings:
    """Return the settings in the form that everybody may see: secret mappings have only their names."""
    names: dict[str, Any] = {kind: dict.fromkeys(getattr(settings, kind), MASK) for kind in SECRET}
    return replace(settings, **names)


def pack(values: Values) -> str:
    """Return secret values packed into one opaque text, "" if there are none."""
    held = {kind: dict(values[kind]) for kind in SECRET if values.get(kind)}
    return base64.b64encode(json.dumps(held).encode()).decode() if held else ""


def reveal(settings: Settings, packed: str) -> Settings:
    """Return concealed settings with the values that `pack` packed back in their places; raise ValueError if a value is missing."""
    held = json.loads(base64.b64decode(packed)) if packed else {}
    missing = [f"go_service_{kind}.{name}" for kind in SECRET for name in getattr(settings, kind) if name not in held.get(kind, {})]
    if missing:
        # A container without its environment would be worse than no container.
        raise ValueError(f"no value came with the settings for {', '.join(missing)}")
    return replace(settings, **{kind: held.get(kind, {}) for kind in SECRET})


@functools.lru_cache
def _slow_hash(text: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), f"go-service/{salt}".encode(), _ROUNDS).hex()


def fingerprint(values: Any, salt: str) -> str:
    """Return a fingerprint that differs if secret values differ, "" for none. It need not be kept secret, since each guess costs time."""
    return _slow_hash(json.dumps(values, sort_keys=True), salt) if values else ""


def escaped(value: str) -> str:
    """Return a value in the form within the double quotes of an instruction of a Dockerfile."""
    return _SPECIAL.sub(r"\\\1", value)


def _texts(settings: Any) -> Iterator[str]:
    """Yield every text of the non-secret settings, and the parts between the colons of an address or a volume."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            yield from _texts(value if name not in SECRET else ())
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _texts(value)
    elif settings is not None:
        yield str(settings)
        yield from str(settings).split(":")


def _readings(password: str) -> Iterator[str]:
    """Yield a password as it is written in a longer value, and as a program reads it: without quotes and escapes, and decoded from Base64."""
    if password[0] in "\"'":
        password = password[1:-1]
        yield re.sub(r"\\(.)", r"\1", password)
        with contextlib.suppress(ValueError):
            yield str(json.loads(f'"{password}"'))
    yield password
    yield urllib.parse.unquote(password)
    with contextlib.suppress(ValueError):
        # user:password, as the header Authorization has it.
        yield base64.b64decode(password, validate=True).decode().partition(":")[2]


def _parts(value: str) -> Iterator[str]:
    """Yield a value, and the passwords and tokens in it if it has several parts: programs may quote only those."""
    yield value
    yield value.strip()
    user, colon, password = credentials(value).partition(":")
    held = password if colon else user
    yield held
    yield urllib.parse.unquote(held)
    for place in _PASSWORD_PLACES:
        for found in place.findall(value):
            if found.lower() not in _WAYS_TO_ASK:
                yield from _readings(found)
    if "\n" in value:
        # Programs may quote a single line of a file.
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= _WHOLE_WORDS)


def _parts_of_address(address: str) -> Iterator[str]:
    """Yield the possible secrets in the address of a repository: also in its query, and where an unquoted password makes a parser split it."""
    _scheme, is_url, rest = address.partition("://")
    before = (rest if is_url else address).rpartition("@")[0]
    _user, colon, password = before.partition(":")
    held = password if colon else before if address.startswith("http") else ""
    for part in (held and before, held, *re.split("[:/@]", held), *(re.split("[?#&=;]", rest)[1:] if is_url else ())):
        yield part
        yield urllib.parse.unquote(part)


def _base64_of(raw: bytes) -> Iterator[str]:
    """Yield how bytes look within the Base64 of a longer text, at each of the three positions where they may begin."""
    for before in (0, 1, 2):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        # Without the characters that also depend on neighbouring bytes.
        yield whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


def _encodings(value: str) -> Iterator[str]:
    """Yield a value in the forms in which programs usually write it."""
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield urllib.parse.quote(raw, safe="")
    yield urllib.parse.quote(raw)
    yield urllib.parse.quote_plus(raw)
    yield html.escape(value)
    yield escaped(value)
    yield spelled(value)
    yield raw.hex()
    for plain in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        yield plain[1:-1]
        # As Go writes JSON.
        yield plain[1:-1].replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    for encoded in _base64_of(raw):
        if len(encoded) >= _WHOLE_WORDS:
            yield encoded
            yield encoded.translate(str.maketrans("+/", "-_"))


def _tells(value: str) -> bool:
    return len(value) >= _SHORTEST and value.lower() not in _COMMON and not _NUMBER.match(value.lower())


def _held(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the secret values of some settings."""
    for kind in SECRET:
        for name, value in settings.get(kind, {}).items():
            if name in _PATTERNS and kind in ("build_env", "build_args"):
                continue
            yield from (str(value[part]) for part in _SECRET_PARTS if part in value) if isinstance(value, Mapping) else (str(value),)


def secret_values(settings: Mapping[str, Any], address: str = "") -> tuple[str, ...]:
    """Return the secret values of some settings, without those that other settings show openly anyway.

    settings: with their secret values, and the source as it may be shown; address: of the source, with its password.
    """
    shown = set(_texts(settings))
    parts = {part for value in _held(settings) for part in _parts(value)} | set(_parts_of_address(address))
    return tuple(sorted(part for part in parts if _tells(part) and part not in shown))


def mask(found: Any, secrets: tuple[str, ...]) -> Any:
    """Return text of other programs without secret values; in plain data, every text in it is masked except the names of mappings.

    Values of fewer than four characters, common words, and numbers like a port are not masked. A value of fewer than eight characters is
    masked only where it is a separate word. secrets: as `secret_values` returns them.
    """
    if isinstance(found, str):
        regex = _expression(secrets)
        return regex.sub(MASK, found) if regex else found
    if isinstance(found, Mapping):
        return {name: mask(value, secrets) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [mask(value, secrets) for value in found]
    return found


@functools.lru_cache
def _expression(secrets: tuple[str, ...]) -> re.Pattern | None:
    """Return what matches any form of any secret, the longest first."""
    forms = {form for value in secrets if _tells(value) for form in _encodings(value)}
    found = []
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        word = re.escape(form)
        found.append(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])" if len(form) < _WHOLE_WORDS else word)
    return re.compile("|".join(found), re.I) if found else None
