"""What is shown of the address of a repository: no user, no password, no query."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets
from ansible_collections.proven.go_service.plugins.module_utils.common.secrets import without_credentials
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import address
from ansible_collections.proven.go_service.plugins.module_utils.source.address import fault_of
from ansible_collections.proven.go_service.plugins.plugin_utils import variables
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
        ("HTTPS://hunter2@example.com/x.git", "lower case"),
        (" https://hunter2@example.com/x.git", "https"),
        ("http::https://hunter2@example.com/x.git", "https"),
        ("ext::sh -c hunter2", "https"),
        ("svn://me:hunter2@example.com/x", "https"),
        ("git+https://hunter2@example.com/x", "https"),
        ("ssh://git:hunter2@example.com/x", "SSH key"),
        ("git://me:hunter2@example.com/x", "SSH key"),
        ("me:hunter2@example.com:x.git", "user@host:path"),
        ("me:hunter2@example.com/x.git", "user@host:path"),
        ("hunter2@example.com/x.git", "user@host:path"),
        ("https:/me:hunter2@example.com/x.git", "has a scheme that is not accepted"),
        ("http:example.com/x.git?hunter2", "has a scheme that is not accepted"),
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
