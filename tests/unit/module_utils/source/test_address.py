"""What is shown of the address of a repository: no user, no password, no query."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import address
from fuzzing import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

PART = st.text(string.ascii_letters + "@:/?#%&=;[]\\ .\n\0é", max_size=12)


@settings(EXAMPLES, max_examples=300)
@given(user=PART, password=PART, host=st.just("git.example.com"), scheme=st.sampled_from(["https://", "ssh://", "", "http://", "file://"]))
def test_no_part_of_a_password_is_ever_shown(user: str, password: str, host: str, scheme: str) -> None:
    secret = "hunter2"
    for cut in itertools.product((user + secret, user), (":" + password + secret, "")):
        name = "".join(cut)
        if secret in name:
            assert secret not in address.shown_address(f"{scheme}{name}@{host}/x.git")
            assert secret not in address.shown_address(f"{scheme}{host}/x.git?{name}")


@settings(EXAMPLES, max_examples=300)
@given(given=st.text(string.ascii_letters + string.digits + "@:/?#%[]\\.-~ \n\0é", max_size=40))
def test_any_address_is_shown_as_one_plain_word_or_not_at_all(given: str) -> None:
    shown = address.shown_address(given)
    assert shown == "" or (shown.isprintable() and shown.isascii() and not set(shown) & set("@?#\\\"'$`"))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://git.example.com/api.git", "https://git.example.com/api.git"),
        ("https://git.example.com:8443/a/b%20c.git", "https://git.example.com:8443/a/b%20c.git"),
        ("https://user:secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("https://user:p@ss-secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("https://secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("https://git.example.com/x.git?private_token=secret", "https://git.example.com/x.git"),
        ("https://git.example.com/x.git#secret", "https://git.example.com/x.git"),
        ("ssh://git@git.example.com:2222/x.git", "ssh://git.example.com:2222/x.git"),
        ("ssh://git@[2001:db8::1]:22/x.git", "ssh://[2001:db8::1]:22/x.git"),
        ("git@git.example.com:team/x.git", "git.example.com:team/x.git"),
        ("git.example.com:team/x.git", "git.example.com:team/x.git"),
        # What cuts an address at the wrong place.
        ("https://user:sec/ret@git.example.com/x.git", ""),
        ("https://secret/part@git.example.com/x.git", ""),
        ("https://secret?part@git.example.com/x.git", ""),
        ("https://secret#part@git.example.com/x.git", ""),
        ("https://user:1/secret@git.example.com/x.git", ""),
        ("https://user:12%2Fsecret%40git.example.com/x.git", ""),
        ("https://git.example.com/x.git;token=secret", ""),
        ("https://git.example.com/secret%40x", ""),
        ("https:\\\\user:secret@git.example.com/x.git", ""),
        ("https://user:secret@", ""),
        ("user:secret@git.example.com:x.git", ""),
        ("secret:x@git.example.com", ""),
        ("https://git.example.com/a\nb", ""),
        ("https://git.example.com/\x1b[31m", ""),
        ("ext::sh -c secret", ""),
        ("file:///home/secret/x.git", ""),
        ("/home/secret/x.git", ""),
        ("../secret.git", ""),
        ("", ""),
    ],
)
def test_an_address_shows_neither_user_nor_password_nor_query(given: str, shown: str) -> None:
    assert address.shown_address(given) == shown


@pytest.mark.parametrize(
    "given",
    [
        "https://user:hunter2@host/x.git",
        "https://hunter2@host/x.git",
        "https://user:p@ss-hunter2@host/x.git",
        "https://user:hunter2/y@host/x.git",
        "https://host/x.git?token=hunter2",
        "https://user:hunter2%21@host/x.git",
    ],
)
def test_what_git_says_of_an_address_tells_no_password(settings: Callable[..., Settings], plugin: Callable[[str], Any], given: str) -> None:
    secret = given.partition("//")[2].rpartition("@")[0].partition(":")[2] or "hunter2"
    said = {"msg": "Failed to download", "stderr": f"fatal: unable to access '{given}/': for {secret}"}
    shown = settings(source=address.shown_address(given) or address.HIDDEN, source_type="git")
    told = plugin("action.fetch").explain(secrets.mask(said, secrets.secret_values(vars(shown), given)), shown, "Nothing.").text("api")
    assert "hunter2" not in told
    assert "the source cannot be fetched from" in told and "unable to access" in told
