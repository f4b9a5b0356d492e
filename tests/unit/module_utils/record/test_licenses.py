"""Licenses by their SPDX names."""

from __future__ import annotations

import json

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.record import licenses
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

# The sentences that tell a family, as texts of their own have them, with the line breaks and quotes that differ.
MIT = """Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction"""
NOTICE = "\n\nThe above copyright notice and this permission notice shall be included in all\ncopies or substantial portions."
BSD = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:"""
ISC = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"
APACHE = "Apache License\n  Version 2.0, January 2004\n  http://www.apache.org/licenses/\n\nTERMS AND CONDITIONS FOR USE"
GNU = "GNU LESSER GENERAL PUBLIC LICENSE\n Version {}, 29 June 2007"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT + NOTICE, "MIT"),
        (MIT, "MIT-0"),
        (BSD, "BSD-2-Clause"),
        (BSD + " to endorse or promote products", "BSD-3-Clause"),
        (BSD + " All advertising materials ... endorse or promote", "BSD-4-Clause"),
        (ISC + ", provided that this permission notice", "ISC"),
        (ISC + ".", "0BSD"),
        (APACHE, "Apache-2.0"),
        ('Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file', "Apache-2.0"),
        ("Mozilla Public License Version 2.0\n====\n\n1. Definitions", "MPL-2.0"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        (GNU.format("3"), "LGPL-3.0-only"),
        (GNU.format("2.1"), "LGPL-2.1-only"),
        ("GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991", "GPL-2.0-only"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007", "AGPL-3.0-only"),
        (f"{BSD} endorse or promote\n\n---\n\n{MIT}{NOTICE}", "BSD-3-Clause AND MIT"),
        ("All rights reserved. Do what you want, as the MIT License and the Apache License do.", ""),
        ("", ""),
    ],
)
def test_a_text_is_told_by_what_it_grants(text, name):
    assert licenses.of_text(text) == name


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("MIT", "id"),
        ("MPL-2.0 AND MIT", "expression"),
        ("(GPL-2.0-only OR MIT) AND Zlib", "expression"),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", "expression"),
        ("GPL2", "name"),
        ("MIT AND", "name"),
        ("MIT MIT", "name"),
        ("(MIT", "name"),
        ("MIT)", "name"),
        ("MIT WITH MIT", "name"),
        ("custom AND MIT", "name"),
        ("AND", "name"),
    ],
)
def test_what_a_package_says_is_an_id_an_expression_or_a_name(said, kind):
    (found,) = licenses.named(said)
    assert found == ({"expression": said} if kind == "expression" else {"license": {kind: said}})


def test_nothing_said_is_nothing_told():
    assert licenses.named("") == []


def test_each_id_is_one_of_spdx():
    """By the schema, which lists them all."""
    components = [{"type": "library", "name": name, "licenses": licenses.named(name)} for name in sorted(licenses._IDS)]
    assert all("id" in component["licenses"][0]["license"] for component in components)
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
