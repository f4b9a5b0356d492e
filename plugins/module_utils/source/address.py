"""Addresses of git repositories: which of them are accepted, and which parts of them may be shown: never the user and the password."""

from __future__ import annotations

import re
import urllib.parse

from ..common.secrets import credentials, without_credentials

_SCHEMES = frozenset({"http", "https", "ssh", "git", "git+ssh", "ssh+git", "git+https", "git+http", "ftp", "ftps"})
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_PATH = re.compile(r"[A-Za-z0-9._~/+ -]*")
# user@host:path, as ssh and scp write it: https://git-scm.com/docs/git-clone#_git_urls
_SCP = re.compile(rf"(?:[A-Za-z0-9_.-]+@)?({_HOST.pattern.partition('|')[0]}):(?!//)(.*)", re.DOTALL)
# The schemes that git itself supports, besides file: any other one would run a program of the host, git-remote-<name>.
_TAKEN = _SCHEMES - {"git+https", "git+http"}
_TRANSPORTS = "has a scheme that is not accepted; write it with https, ssh, git or file, in lower case, or as user@host:path"
_PASSWORD = "has a password, which git accepts only with http and https; write it with https, or as ssh://user@host/path, with an SSH key on the host"
_QUERY = (
    "has a query or a fragment, which everybody on the host would see; give a token as https://user:token@host/path, "
    'with "?" as %3F and "#" as %23 in it, or give it to git on the host (a credential helper, an SSH key)'
)
_PLACE = (
    'has an "@" that does not end a user; write it as https://user:password@host/path or user@host:path, '
    'with "@" as %40 and "/" as %2F in a user, in a password and in the path of a URL'
)
HIDDEN = "(an address that is not shown)"


def is_address(source: str) -> bool:
    """Say whether a source is written as the address of a repository, not as a path."""
    return "://" in source or bool(re.match(r"[^/@]+@[^/]+:", source))


def shown_address(address: str) -> str:
    """Return scheme, host, port and path of a repository's address, "" if it is not certainly understood.

    A password with a slash, a hash or a question mark in it makes a parser split the address at the wrong place: the rest then has something that no valid
    address has, an "@" or a port that is not a number, and nothing is shown.
    """
    if not address.isascii() or not address.isprintable():
        return ""
    if "://" not in address:
        match = _SCP.fullmatch(address)
        return f"{match[1]}:{match[2]}" if match and _PATH.fullmatch(match[2]) else ""
    try:
        parts = urllib.parse.urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    understood = parts.scheme in _SCHEMES and _HOST.fullmatch(host) and _PATH.fullmatch(urllib.parse.unquote(parts.path))
    if not understood or "@" in parts.query + parts.fragment:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"


def fault_of(address: str) -> str:
    """Return why an address is not accepted, as the end of a sentence with what to do, "" if it is accepted. It quotes no part of the address.

    git gets the address as an argument, which everybody on the host can see (ps): so a secret may only be where `credentials` finds and removes it.
    """
    bare = without_credentials(address)
    scheme, is_url, rest = bare.partition("://")
    if not is_url:
        first = bare.partition("/")[0]
        if re.match(r"[A-Za-z0-9+.-]+::|(?:https?|ftps?):", first, re.I):
            return _TRANSPORTS
        # user@host:path, or else a path of the host's.
        return _PLACE if "@" in (bare.partition(":")[2] if ":" in first else first) else ""
    if scheme == "file":
        return ""
    if scheme not in _TAKEN:
        return _TRANSPORTS
    if credentials(address) and not scheme.startswith(("http", "ftp")):
        return _PASSWORD
    if set(rest) & set("?#"):
        return _QUERY
    return _PLACE if "@" in rest.partition("/")[2] else ""
