"""String literals of Go."""

from __future__ import annotations

import re
import sys

_ESCAPES = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b'"': 34}
_ESCAPE = re.compile(rb"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.DOTALL)


def _unescape(match: re.Match[bytes]) -> bytes:
    simple, hexadecimal, octal, short, long, unknown = match.groups()
    if unknown is not None:
        raise ValueError("unknown escape")
    if simple:
        return bytes([_ESCAPES[simple]])
    if hexadecimal or octal:
        return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8)])
    code = int(short or long, 16)
    if code > sys.maxunicode:
        raise ValueError("no such character")
    return chr(code).encode()


def unquote(literal: bytes, errors: str = "strict") -> str:
    """Return the text of a Go string literal, raw or interpreted; raise ValueError if it is malformed.

    errors: what becomes of bytes that are not UTF-8, as `bytes.decode` takes it.
    """
    body = literal[1:-1]
    if literal.startswith(b"`"):
        body = body.replace(b"\r", b"")
    elif b"\\" in body:
        body = _ESCAPE.sub(_unescape, body)
    return body.decode(errors=errors)
