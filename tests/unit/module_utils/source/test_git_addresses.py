"""Which addresses of git repositories are taken: what git gets as an argument holds no secret."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.secrets import without_credentials
from ansible_collections.proven.go_service.plugins.module_utils.source.address import fault_of
from ansible_collections.proven.go_service.plugins.plugin_utils import variables


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/x.git",
        "https://me:pw@example.com/x.git",
        "https://token@example.com:8443/a%40b/x.git",
        "https://me:p/w@example.com/x.git",
        "http://[::1]:80/x.git",
        "ssh://git@example.com:22/~me/x",
        "ssh://[::1]:22/x",
        "git@example.com:a/b.git",
        "git@[::1]:a/b.git",
        "host:a/b",
        "git://example.com/x",
        "/srv/a@b:c",
        "./a@b",
        "../x:y",
        "~me/x",
        "a/b",
        "file:///srv/a@b#c?d",
    ],
)
def test_usual_addresses_and_paths_are_taken(address: str) -> None:
    assert fault_of(address) == ""


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("https://example.com/x.git?private_token=hunter2", "query"),
        ("https://me:pw@example.com/x.git#hunter2", "query"),
        ("https://hunt/er2@example.com/x.git", "%2F"),
        ("https://me:12/hunter2@example.com/x.git", "%2F"),
        ("https://me:pw@example.com/hunter2@x.git", "%40"),
        ("HTTPS://hunter2@example.com/x.git", "small letters"),
        (" https://hunter2@example.com/x.git", "https"),
        ("http::https://hunter2@example.com/x.git", "https"),
        ("ext::sh -c hunter2", "https"),
        ("svn://me:hunter2@example.com/x", "https"),
        ("git+https://hunter2@example.com/x", "https"),
        ("ssh://git:hunter2@example.com/x", "key of SSH"),
        ("git://me:hunter2@example.com/x", "key of SSH"),
        ("me:hunter2@example.com:x.git", "user@host:path"),
        ("me:hunter2@example.com/x.git", "user@host:path"),
        ("hunter2@example.com/x.git", "user@host:path"),
        ("https:/me:hunter2@example.com/x.git", "names no way"),
        ("http:example.com/x.git?hunter2", "names no way"),
    ],
)
def test_an_address_that_would_show_a_secret_is_refused_without_being_quoted(raw: dict[str, Any], address: str, word: str) -> None:
    with pytest.raises(variables.InputError) as caught:
        variables.check_variables({**raw, "source_type": "git", "source": address})
    (sentence,) = caught.value.problems
    assert sentence.startswith("go_service_source (not shown) ") and word in sentence
    assert "hunt" not in sentence and "er2" not in sentence


@pytest.mark.parametrize("address", ["https://me:hunter2@example.com/x", "https://hunter2@example.com/x", "http://me:h%40unter2@h:1/x"])
def test_what_is_left_for_git_has_no_secret(address: str) -> None:
    assert fault_of(address) == ""
    assert "unter2" not in without_credentials(address)
