"""Addresses of git repositories, and what of them may be shown: never who asks, and with what password."""

from __future__ import annotations

import re
import urllib.parse

_SCHEMES = frozenset({"http", "https", "ssh", "git", "git+ssh", "ssh+git", "git+https", "git+http", "ftp", "ftps"})
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_PATH = re.compile(r"[A-Za-z0-9._~/+ -]*")
# user@host:path, as ssh and scp write it: https://git-scm.com/docs/git-clone#_git_urls
_SCP = re.compile(rf"(?:[A-Za-z0-9_.-]+@)?({_HOST.pattern.partition('|')[0]}):(?!//)(.*)", re.DOTALL)
HIDDEN = "(an address that is not shown)"


def shown_address(address: str) -> str:
    """Return scheme, host, port and path of a repository's address, "" where it is not understood for sure.

    A password with a slash, a hash or a question mark in it cuts an address at the wrong place: the rest of it then has what no address of
    ours has, an "@" or a port that is no number, and nothing is shown.
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
