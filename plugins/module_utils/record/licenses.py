"""Licenses by their SPDX names (https://spdx.org/licenses/): from what a package says about itself, and from the text of a license file.

A license text is recognised by the sentence that grants the rights, which only its family has; a text of another family gets no name.
"""

from __future__ import annotations

import re
from typing import Any

# The part of the SPDX list that Alpine's packages and Go's modules use; any other license is passed on as a name, without the claim that SPDX knows it.
_KNOWN = """
    0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-2.0 BSD-1-Clause BSD-2-Clause
    BSD-2-Clause-Patent BSD-3-Clause BSD-4-Clause BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-PDDC CC0-1.0 CDDL-1.0 CDDL-1.1
    CPL-1.0 curl EPL-1.0 EPL-2.0 EUPL-1.2 FSFAP FTL GFDL-1.3-or-later GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later
    HPND ICU IJG ISC LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later Libpng libtiff MIT MIT-0 MPL-1.1
    MPL-2.0 MulanPSL-2.0 NCSA OFL-1.1 OLDAP-2.8 OpenSSL PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 Ruby Sleepycat TCL Unicode-DFS-2016 Unlicense UPL-1.0
    Vim W3C WTFPL X11 Zend-2.0 Zlib ZPL-2.1
"""
_KNOWN_EXCEPTIONS = """
    Bison-exception-2.2 Classpath-exception-2.0 Font-exception-2.0 GCC-exception-3.1 Linux-syscall-note LLVM-exception
    OpenSSL-exception openvpn-openssl-exception
"""
_IDS, _EXCEPTIONS = frozenset(_KNOWN.split()), frozenset(_KNOWN_EXCEPTIONS.split())
_WORD = re.compile(r"[()]|[A-Za-z0-9][A-Za-z0-9.+-]*")
# A family -> a part of its texts, in lower case and reduced to letters, digits and dots.
_GRANTS = {
    "Apache-2.0": r"apache license version 2\.0(?: january 2004 http www\.apache\.org licenses terms and conditions|.{0,40} you may not use)",
    "MIT": r"permission is hereby granted free of charge to any person obtaining a copy of this software and associated documentation files",
    "BSD": r"redistribution and use (?:of this software )?in source and binary forms with or without modification are permitted",
    "ISC": r"permission to use copy modify and (?:or )?distribute this software for any purpose with or without fee is hereby granted",
    "MPL-2.0": r"mozilla public license version 2\.0 (?:1\. definitions|.{0,40}1\. definitions)",
    "Unlicense": r"this is free and unencumbered software released into the public domain",
    "CC0-1.0": r"cc0 1\.0 universal",
    "EPL-2.0": r"eclipse public license v 2\.0",
    "Zlib": r"this software is provided as is without any express or implied warranty .{0,200}3\. this notice may not be removed",
    "GNU": r"gnu (?:affero |lesser |library )?general public license version (?:2|2\.1|3) (?:\d+ )?(?:june|november|february|january)",
}
_GNU = re.compile(r"gnu (affero |lesser |library )?general public license version (2\.1|2|3)")


def named(text: str) -> list[dict[str, Any]]:
    """Return what a package says about its license in the form of CycloneDX: by its SPDX id, as an expression of such ids, or as a name; [] for nothing."""
    if not text:
        return []
    if text in _IDS:
        return [{"license": {"id": text}}]
    return [{"expression": text}] if _is_expression(text) else [{"license": {"name": text}}]


def _is_expression(text: str) -> bool:
    """Say whether a text is an SPDX expression (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/) of ids that are known here."""
    words = text.replace("(", " ( ").replace(")", " ) ").split()
    wanted, depth = "license", 0
    for word in words:
        if not _WORD.fullmatch(word):
            return False
        if wanted == "license" and word == "(":
            depth += 1
        elif word in {"license": _IDS, "exception": _EXCEPTIONS}.get(wanted, ()):
            wanted = "operator"
        elif wanted == "operator" and word in ("AND", "OR"):
            wanted = "license"
        elif wanted == "operator" and word == "WITH":
            wanted = "exception"
        elif wanted == "operator" and word == ")" and depth:
            depth -= 1
        else:
            return False
    return wanted == "operator" and depth == 0


def of_text(text: str) -> str:
    """Return the SPDX name of the license that a text grants, "" for none that is known here.

    If a text grants several, all are named, joined by AND: the text does not tell whether this is a choice or several parts, and AND is the stricter reading.
    """
    plain = " ".join(re.sub(r"[^a-z0-9.]+", " ", text.lower().replace("http://", "http ").replace("https://", "http ")).split())
    found = [_exact(family, plain) for family, grant in _GRANTS.items() if re.search(grant, plain)]
    return " AND ".join(sorted(set(found)))


def _exact(family: str, plain: str) -> str:
    """Return the SPDX id within a family of texts that differ in their conditions."""
    if family == "MIT":
        return "MIT" if "permission notice" in plain else "MIT-0"
    if family == "ISC":
        return "ISC" if "permission notice" in plain else "0BSD"
    if family == "BSD":
        if "all advertising materials" in plain:
            return "BSD-4-Clause"
        return "BSD-3-Clause" if "endorse or promote" in plain else "BSD-2-Clause"
    if family == "GNU":
        # The text is the same for "only" and "or later", which the sources say: the stricter reading.
        kind, version = _GNU.search(plain).groups()  # type: ignore[union-attr]
        letter = {"affero ": "A", "lesser ": "L", "library ": "L"}.get(kind or "", "")
        return f"{letter}GPL-{version if '.' in version else version + '.0'}-only"
    return family
