"""Secret values are where they are needed and nowhere else; foreign text is fit to be shown."""

from __future__ import annotations

import base64
import json
import shlex
import time
import urllib.parse
from collections.abc import Callable

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets, text
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile
from fuzzing import EXAMPLES
from hypothesis import assume, given
from hypothesis import strategies as st
from samples import Settings

HIDDEN = 'p4$s "w/rd&+ü\\'
SECRET = {
    "env": {"A": HIDDEN},
    "build_env": {"B": "builder-key"},
    "build_args": {"C": "c-argument"},
    "build_secrets": {"git.example.com": {"user": "ci", "token": "f-token-x"}},
    "labels": {"d": "d-label-x"},
    "secret_files": {"e.txt": "first-line\nsecond-line\n"},
}


# How values travel


def test_what_everybody_may_see_has_names_alone(settings: Settings) -> None:
    shown = secrets.conceal(settings(**SECRET))
    assert [list(getattr(shown, kind)) for kind in SECRET] == [["A"], ["B"], ["C"], ["git.example.com"], ["d"], ["e.txt"]]
    assert not [value for value in ("p4", "builder-key", "c-arg", "f-token", "d-label") if value in json.dumps(shown.as_json())]


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


# What may be kept in the open


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


@pytest.mark.parametrize(
    "value",
    [
        "root:{}@tcp(127.0.0.1:3306)/db",
        ":{}@redis:6379",
        "user:{}",
        "host=db user=app password={} dbname=x",
        "host=db password = '{}'",
        "Server=db;User Id=sa;Password={};",
        "postgres://db/x?user=app&password={}",
        "https://a:another-one@one.example,https://b:{}@two.example",
        "https://one.example|https://{}@two.example",
        '{{"user": "app", "client_secret": "{}"}}',
        "Bearer {}",
        "machine x login u password {}",
        "LEVEL=info\nAPI_KEY={}\n",
        "url: https://x.example\ntoken: {} # until May\n",
    ],
)
def test_the_password_in_a_value_that_is_made_of_several_things_is_masked_by_itself(settings: Settings, value: str) -> None:
    found = secrets.secret_values(vars(settings(secret_files={"A": value.format("q9Zx!Kpw4")})))
    assert secrets.mask("refused: q9Zx!Kpw4, on host db of app at two.example", found) == "refused: ***, on host db of app at two.example"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        (json.dumps({"password": 'q9"Zx\\Kü'}), 'q9"Zx\\Kü'),
        (r"password='q9\'Zx!K'", "q9'Zx!K"),
        ("https://a:x-y-z@one,https://b:q9%2FZx@two", "q9/Zx"),
        ("Basic " + base64.b64encode(b"user:q9Zx!Kpw4").decode(), "q9Zx!Kpw4"),
    ],
)
def test_a_password_within_a_value_is_masked_as_a_program_reads_it_there(settings: Settings, value: str, quoted: str) -> None:
    found = secrets.secret_values(vars(settings(env={"A": value})))
    assert secrets.mask(f"refused: {quoted}!", found) == "refused: ***!"


def test_the_passwords_in_a_long_file_are_soon_found(settings: Settings) -> None:
    for piece in ("a", "key", ":", "//", "key=", '"', "password ", "a:a@"):
        began = time.process_time()
        secrets.secret_values(vars(settings(secret_files={"file": piece * (200_000 // len(piece))})))
        assert time.process_time() - began < 5, piece


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


# What a terminal would obey, or a reader would not see


@pytest.mark.parametrize(("value", "places"), [("Zx9#qK", [""]), ("<q9>Zx#Kp", ["", "a", "ab"])])
def test_a_value_within_base64_or_the_json_of_go_leaves_nothing_of_itself(settings: Settings, value: str, places: list[str]) -> None:
    """Of a value that is as short as eight characters of Base64, only where it begins with them."""
    known = secrets.secret_values(vars(settings(env={"KEY": value})))
    for before in places:
        packed = base64.b64encode(f"{before}{value}".encode()).decode()
        assert secrets.MASK in secrets.mask(f"Basic {packed}", known)
    as_go = json.dumps(value)[1:-1].replace("<", r"\u003c").replace(">", r"\u003e")
    assert secrets.mask(f'{{"key":"{as_go}"}}', known) == f'{{"key":"{secrets.MASK}"}}'


@pytest.mark.parametrize(("value", "masked"), [("q9Zx#Kp", False), ("q9Zx#Kpw", True)])
def test_a_value_is_masked_within_a_word_from_eight_characters_on(settings: Settings, value: str, masked: bool) -> None:
    known = secrets.secret_values(vars(settings(env={"KEY": value})))
    assert (secrets.mask(f"a{value}b", known) == f"a{secrets.MASK}b") is masked
    assert secrets.mask(f"a {value} b", known) == f"a {secrets.MASK} b"


def test_a_token_in_the_query_of_an_address_is_masked_by_itself(settings: Settings) -> None:
    known = secrets.secret_values(vars(settings()), "https://git.example.com/x.git?private_token=q9Zx-Kpw4&a=b#r7Yt-Lmn2")
    assert secrets.mask("refused: q9Zx-Kpw4, r7Yt-Lmn2", known) == f"refused: {secrets.MASK}, {secrets.MASK}"


def test_each_line_of_a_file_is_a_secret(settings: Callable[..., Settings]) -> None:
    """Programs quote a line of what they read, not the file."""
    hidden = secrets.secret_values(settings(secret_files={"key": "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n"}).as_json())
    assert secrets.mask("cannot parse MIIEvQIBADANBgkq at line 2", hidden) == "cannot parse *** at line 2"


def test_a_kept_hash_stays_what_it_is() -> None:
    """Another one makes every container anew whose service has secret values."""
    assert secrets.fingerprint({"b": "2", "a": "1"}, "x") == secrets.fingerprint({"a": "1", "b": "2"}, "x")
    assert secrets.fingerprint({"a": "1", "b": "2"}, "x").startswith("644c68fce32c38a676713453")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("json", '{"a": "***"}'),
        ("json, not ASCII", '{"a": "***"}'),
        ("go's json", '{"a": "***"}'),
        ("url", "***"),
        ("form", "***"),
        ("hex", "***"),
        ("plain", "password=***;"),
        ("dockerfile", 'ENV A="***"'),
    ],
)
def test_of_a_quoted_secret_nothing_is_left_and_nothing_else_is_taken(settings: Settings, form: str, shown: str) -> None:
    assert secrets.mask(quoted(HIDDEN)[form], secrets.secret_values(vars(settings(env={"A": HIDDEN})))) == shown


@EXAMPLES
@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=10, max_size=24), before=st.sampled_from([0, 1, 2, 3, 4])
)
def test_within_base64_every_character_goes_that_the_secret_alone_decides(value: str, before: int) -> None:
    """Those at its ends, in which a neighbour has a part, are left."""
    raw = value.encode()
    neighbours = [(first, last) for first in (0, 0x55, 0xAA, 0xFF) for last in (0, 0x55, 0xAA, 0xFF)]
    texts = [base64.b64encode(bytes([first]) * before + raw + bytes([last]) * 5).decode() for first, last in neighbours]
    alike = "".join(characters[0] if len(set(characters)) == 1 else "\0" for characters in zip(*texts)).rstrip("\0")
    own = max(alike.split("\0"), key=len)
    hidden = secrets.secret_values({"env": {"A": value}})
    # A number is none.
    assume(hidden)
    for written in texts:
        assert secrets.mask(written, hidden) == written.replace(own, secrets.MASK, 1)


@pytest.mark.parametrize(
    ("address", "told", "shown"),
    [
        ("https://me:ghp_abcdef@h/a.git", "me:ghp_abcdef ghp_abcdef me", "*** *** me"),
        ("https://ghp_tokentoken@h/a.git", "bad token ghp_tokentoken", "bad token ***"),
        ("https://me:a%40bcdefgh@h/a.git", "a%40bcdefgh, a@bcdefgh", "***, ***"),
        ("https://me:half/cutcutcut@h/a.git", "no host cutcutcut", "no host ***"),
        ("me:hunter2xyz@h:a.git", "hunter2xyz", "***"),
        ("ssh://deploy-user@h/a.git", "deploy-user", "deploy-user"),
        ("deploy-user@h:a.git", "deploy-user", "deploy-user"),
        ("https://git.example.com/some/path.git", "git.example.com/some/path.git", "git.example.com/some/path.git"),
        ("https://git.example.com/x.git?q9Zx-Kpw4", "git.example.com/x.git q9Zx-Kpw4", "git.example.com/x.git ***"),
        ("https://git.example.com/x.git?a=q9Zx-Kpw4;r7Yt-Lmn2#k3Wq-Vbn8", "q9Zx-Kpw4 r7Yt-Lmn2 k3Wq-Vbn8", "*** *** ***"),
    ],
)
def test_what_of_an_address_is_a_secret(settings: Settings, address: str, told: str, shown: str) -> None:
    """A password or a token, whole and in the pieces that programs cut it to; neither a user of SSH nor the place."""
    assert secrets.mask(told, secrets.secret_values(vars(settings()), address)) == shown


def test_a_line_of_a_file_is_a_secret_from_eight_characters_on(settings: Settings) -> None:
    hidden = secrets.secret_values(vars(settings(secret_files={"key": "  q9Zx#Kpw  \nr7Yt+Lm\n"})))
    assert secrets.mask("q9Zx#Kpw r7Yt+Lm", hidden) == "*** r7Yt+Lm"


def test_of_a_secret_that_begins_like_another_one_nothing_is_left(settings: Settings) -> None:
    hidden = secrets.secret_values(vars(settings(env={"A": "q9Zx#Kpw", "B": "q9Zx#Kpw-longer", "C": "Zx#Kpw-longe"})))
    assert secrets.mask("is q9Zx#Kpw-longer, q9Zx#Kpw", hidden) == "is ***, ***"


def test_the_paths_of_modules_that_are_private_are_told(settings: Settings) -> None:
    """A failure names the host that refuses one."""
    given = settings(
        build_env={"GOPRIVATE": "git.example.com", "GOPROXY": "https://me:q9Zx!Kpw4@p.example.com"}, env={"GOPRIVATE": "git.example.org"}
    )
    hidden = secrets.secret_values(vars(given))
    told = "git.example.com and git.example.org refuse q9Zx!Kpw4"
    assert secrets.mask(told, hidden) == "git.example.com and *** refuse ***"
