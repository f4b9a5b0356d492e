"""Image references, by the grammar of https://github.com/distribution/reference."""

from __future__ import annotations

import re

# The grammar of https://github.com/distribution/reference: [domain[:port]/]path[:tag][@digest]
_IMAGE = re.compile(
    r"\A(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)


def is_image_reference(value: str) -> bool:
    """Say whether a string is a valid image reference."""
    return bool(_IMAGE.match(value))
