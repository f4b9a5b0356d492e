"""Secret values are where they are needed and nowhere else; foreign text is fit to be shown."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets, text
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as settings_of
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Progress, failed
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile
from ansible_collections.proven.go_service.plugins.plugin_utils import build_log, variables
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import docker_image

Settings = Callable[..., settings_of.Settings]
HIDDEN = 'p4$s "w/rd&+ü\\'
SECRET = {
    "env": {"A": HIDDEN},
    "build_env": {"B": "builder-key"},
    "build_args": {"C": "c-argument"},
    "labels": {"d": "d-label-x"},
    "secret_files": {"e.txt": "first-line\nsecond-line\n"},
}


# How values travel


def test_what_everybody_may_see_has_names_alone(settings: Settings) -> None:
    shown = secrets.conceal(settings(**SECRET))
    assert [list(getattr(shown, kind)) for kind in secrets.SECRET] == [["A"], ["B"], ["C"], ["d"], ["e.txt"]]
    assert not [value for value in ("p4", "builder-key", "c-arg", "d-label") if value in json.dumps(shown.as_json())]


def test_the_target_gets_back_what_the_controller_packed(settings: Settings) -> None:
    wanted = settings(**SECRET)
    packed = secrets.pack(vars(wanted))
    assert secrets.reveal(secrets.conceal(wanted), packed) == wanted
    assert "p4" not in packed
    # An empty argument is masked nowhere; a short one would be masked within other words.
    plain = settings()
    assert secrets.pack(vars(plain)) == ""
    assert secrets.reveal(secrets.conceal(plain), "") == plain
    assert len(secrets.pack({"env": {"A": ""}})) > 16
    with pytest.raises(ValueError, match=r"go_service_env\.A"):
        secrets.reveal(secrets.conceal(wanted), "")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:pw@example.com/a", "https://example.com/a"),
        ("https://token@example.com/a", "https://example.com/a"),
        ("https://me:p@w@example.com/a", "https://example.com/a"),
        ("https://me:p/w@example.com/a", "https://example.com/a"),
        ("https://example.com:8443/a@b", "https://example.com:8443/a@b"),
        ("ssh://git:pw@example.com/a", "ssh://example.com/a"),
        ("ssh://git@example.com/a", "ssh://git@example.com/a"),
        ("git@example.com:a/b.git", "git@example.com:a/b.git"),
        ("https://example.com/a?b=c@d", "https://example.com/a?b=c@d"),
        ("/srv/src", "/srv/src"),
    ],
)
def test_git_gets_an_address_without_its_password(address: str, shown: str) -> None:
    assert secrets.without_credentials(address) == shown


@pytest.mark.parametrize(
    "value", ["DB_PASSWORD=hunter2x", ["hunter2x"], {"DB=hunter2x": None}, {"DB: hunter2x": None}, {"A": ["hunter2x"]}, 7]
)
@pytest.mark.parametrize("name", secrets.SECRET)
def test_wrong_input_is_told_without_its_value(raw: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(variables.InputError) as told:
        variables.check_variables({**raw, name: value})
    assert f"go_service_{name}" in str(told.value)
    assert "hunter2" not in str(told.value) and "7" not in str(told.value)


# What may be kept in the open


def test_a_container_that_an_earlier_version_made_is_not_made_anew(settings: Settings) -> None:
    body, other = (container.create_body(settings(env={"PIN": pin}), "a:b", (1, 41)) for pin in ("4711", "4712"))
    # As that version made the label.
    labels = {name: value for name, value in body["Labels"].items() if name != "go-service.config"}
    made = hashlib.sha256(json.dumps({**body, "Labels": labels}, sort_keys=True).encode()).hexdigest()[:16]
    there = {"Config": {"Labels": {**labels, "go-service.config": made}}}
    assert container.is_made_by(body, there) and not container.is_made_by(other, there)
    # Without any secret value nothing else is hashed than it did.
    plain = container.create_body(settings(), "a:b", (1, 41))
    labels = {name: value for name, value in plain["Labels"].items() if name != "go-service.config"}
    assert (
        plain["Labels"]["go-service.config"]
        == hashlib.sha256(json.dumps({**plain, "Labels": labels}, sort_keys=True).encode()).hexdigest()[:16]
    )


def test_kept_hashes_change_with_a_value_but_are_slow_to_guess(settings: Settings) -> None:
    one, other = (container.create_body(settings(env={"PIN": pin}), "a:b", (1, 41)) for pin in ("4711", "4712"))
    assert one["Labels"]["go-service.config"] != other["Labels"]["go-service.config"]
    assert secrets.fingerprint({"a": "1"}, "x") != secrets.fingerprint({"a": "1"}, "y")
    assert secrets.fingerprint({}, "x") == ""
    assert secrets._ROUNDS >= 100_000


def test_a_dockerfile_is_shown_without_values_and_built_with_them(settings: Settings, generate: Callable[..., dict[str, str]]) -> None:
    wanted = settings(build_env={"B": HIDDEN}, build_args={"C": '"; USER root'})
    shown = generate(build_env=wanted.build_env, build_args=wanted.build_args)["dockerfile"]
    built = dockerfile.with_values(shown, wanted)
    assert 'ENV B="***"' in shown and 'ARG C="***"' in shown
    assert 'ENV B="p4\\$s \\"w/rd&+ü\\\\"' in built
    assert dockerfile.without_values(built) == shown
    assert dockerfile.without_values(f'Step 4/9 : ENV B="{secrets.escaped(HIDDEN)}" and more') == 'Step 4/9 : ENV B="***" and more'


# What other programs quote


def quoted(value: str) -> dict[str, str]:
    """Return a value as programs write it."""
    raw = value.encode()
    return {
        "plain": f"password={value};",
        "url": urllib.parse.quote(value, safe=""),
        "form": urllib.parse.quote_plus(value),
        "json": json.dumps({"a": value}),
        "json, not ASCII": json.dumps({"a": value}, ensure_ascii=False),
        "go's json": json.dumps({"a": value}, ensure_ascii=False).replace("&", "\\u0026"),
        "base64": base64.b64encode(raw).decode(),
        "basic authentication": base64.b64encode(b"user:" + raw).decode(),
        "basic authentication of another user": base64.b64encode(b"admin:" + raw + b"@x").decode(),
        "url-safe base64": base64.urlsafe_b64encode(b"ab" + raw).decode(),
        "hex": raw.hex(),
        "spelled out": text.spelled(f"a {value}\u200b"),
        "dockerfile": f'ENV A="{secrets.escaped(value)}"',
    }


@pytest.mark.parametrize("value", [HIDDEN, "hunter2", "correct horse battery staple", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"])
@pytest.mark.parametrize("form", quoted(HIDDEN))
def test_quoted_secrets_are_masked(settings: Settings, value: str, form: str) -> None:
    shown = secrets.mask(quoted(value)[form], secrets.secret_values(vars(settings(env={"A": value}))))
    assert secrets.MASK in shown
    rest = {part.lower() for part in shlex.split(shown.replace("'", " "), posix=False)}
    assert not any(value.lower() in part for part in rest)
    assert len(shown) < len(quoted(value)[form])


def test_the_password_in_an_address_is_masked_by_itself(settings: Settings) -> None:
    hidden = secrets.secret_values(
        vars(settings(env={"DSN": "postgres://app:hunter%402x@db/app"})), "https://me:ghp_abcdef@example.com/a.git"
    )
    told = 'password "hunter@2x" (hunter%402x), remote: https://me:ghp_abcdef@example.com/a.git, me:ghp_abcdef'
    assert not [part for part in ("hunter", "ghp_") if part in secrets.mask(told, hidden)]


@pytest.mark.parametrize("value", ["1", "abc", "true", "info", "8080", "127.0.0.1", "30s", "", "debug", "cat-server", "/srv/files"])
def test_what_says_nothing_or_is_shown_anyway_is_not_masked(settings: Settings, value: str) -> None:
    hidden = secrets.secret_values(vars(settings(env={"A": value}, args=["-dir", "/srv/files"])))
    line = "cat-server:3f2a91c07b6e abc true info 127.0.0.1:8080 1 30s /srv/files debug"
    assert secrets.mask(line, hidden) == line


def test_a_short_value_is_masked_as_a_word_alone(settings: Settings) -> None:
    hidden = secrets.secret_values(vars(settings(env={"A": "beef"})))
    line = "sha256:00beef00, pin=beef"
    assert secrets.mask(line, hidden) == "sha256:00beef00, pin=***"


def test_plain_data_is_masked_in_its_texts_alone(settings: Settings) -> None:
    hidden = secrets.secret_values(vars(settings(env={"A": "hunter2x"})))
    assert secrets.mask({"hunter2x": ["a hunter2x", 7, None, {"b": ("hunter2x",)}]}, hidden) == {
        "hunter2x": ["a ***", 7, None, {"b": ["***"]}]
    }


def test_a_failed_build_is_told_without_the_values_that_its_log_quotes(settings: Settings) -> None:
    value = 'it\'s a "key" of $mine\\'
    log = [
        "Step 1/3 : FROM a",
        f'Step 2/3 : ENV B="{secrets.escaped(value)}"',
        "Step 3/3 : RUN go test ./...",
        f"--- FAIL: got {value}\x1b[2J",
    ]
    message = f"Error building api - code: 1, message: The command failed, logs: {log!r}"
    hidden = secrets.secret_values(vars(settings(build_env={"B": value})))

    def told_of(message: str) -> dict[str, Any]:
        failure = docker_image.failure({"failed": True, "msg": message})
        return failed(failure, "api", Progress("build", "Nothing."), 0, hidden)["failure"]

    told = told_of(message)
    assert told["evidence"] == ["--- FAIL: got ***\\x1b[2J"]
    at_env = told_of(f"Error building api - code: 1, message: no, logs: {log[:2]!r}")
    assert at_env["message"] == 'the build failed at: ENV B="***"'
    assert [step["instruction"] for step in build_log.steps("\n".join(log))] == ["FROM a", 'ENV B="***"', "RUN go test ./..."]


# What a terminal would obey, or a reader would not see


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x00\x7f\x9b31m", r"a\x0db\x00\x7f\x9b31m"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("a\u200bb\ufeffc\u2060\u00ad", r"a\u200bb\ufeffc\u2060\xad"),
        ("\u2066x\u2069 \u2028", r"\u2066x\u2069 \u2028"),
        ("half \ud83d", r"half \ud83d"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("é € 日本 😀 \ufffd\ttab\nline\r\n", "é € 日本 😀 \ufffd\ttab\nline\n"),
    ],
)
def test_control_characters_are_spelled_out(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown
    assert text.visible(shown) == shown
    text.visible(raw).encode()


def test_long_lines_are_cut_once_with_a_count() -> None:
    cut = text.visible("short\n" + "x" * 5000)
    assert cut.startswith("short\nxxxx") and cut.endswith(" more characters)")
    assert len(cut) < 1010 and cut.count("x") + int(cut.split("(and ")[1].split()[0]) == 5000
    assert text.visible(cut) == cut
    assert text.visible({"a": ["\x07", 1, None]}) == {"a": ["\\x07", 1, None]}


def test_each_line_of_a_file_is_a_secret(settings: Callable[..., Settings]) -> None:
    """Programs quote a line of what they read, not the file."""
    hidden = secrets.secret_values(settings(secret_files={"key": "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n"}).as_json())
    assert secrets.mask("cannot parse MIIEvQIBADANBgkq at line 2", hidden) == "cannot parse *** at line 2"
