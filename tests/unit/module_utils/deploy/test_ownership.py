"""What of a service's directory the role made: it is used where that is shown, and refused as it is where not.

With all entry points of the role, and the Engine: runs/test_ownership.py.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import ownership
from fuzzing import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st
from plays import PROJECT, environment

NAME = "api"
OURS = f"# Dockerfile of {NAME}, written by the Ansible role go_service: x\n"
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the directory of the service, which is not there yet."""
    (tmp_path / "work").mkdir(mode=0o755)
    return tmp_path / "work" / NAME


def record(place: Path, **fields: Any) -> None:
    """Write a record into the directory."""
    place.mkdir(exist_ok=True)
    (place / "record.json").write_text(json.dumps({"service": NAME, "trees": [], **fields}))


def refused(place: Path) -> Failure:
    """Insist that the directory is refused, by a look as by a claim, and stays; return the refusal of the claim."""
    before = sorted((str(path), path.lstat().st_mode, path.lstat().st_mtime_ns) for path in place.parent.rglob("*"))
    told = []
    for look in (ownership.examine, ownership.claim):
        with pytest.raises(Failure) as caught:
            look(place, NAME)
        told.append(str(caught.value))
        assert (caught.value.stage, caught.value.still_runs) == ("directory", UNTOUCHED)
        assert "It was not touched." in caught.value.remedy
    assert sorted((str(path), path.lstat().st_mode, path.lstat().st_mtime_ns) for path in place.parent.rglob("*")) == before
    assert told[0] == told[1]
    return caught.value


MOUNTED = """
import subprocess, sys
from pathlib import Path
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import ownership
place, foreign, where = map(Path, sys.argv[1:])
subprocess.run(["mount", "--bind", foreign, where], check=True)
for look in (ownership.examine, ownership.claim):
    try:
        print("taken", look(place, place.name).trees)
    except Failure as failure:
        print("refused", failure.message, failure.remedy)
"""


@pytest.mark.parametrize(
    ("where", "verdict"), [("context", "refused"), ("source/a b", "refused"), ("secrets/x", "refused"), ("of-somebody", "taken")]
)
def test_what_is_mounted_into_a_tree_of_the_role_is_refused(place: Path, tmp_path: Path, where: str, verdict: str) -> None:
    record(place, trees=["context", "secrets", "source"])
    (place / where).mkdir(parents=True)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "kept").touch()
    own = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*own, "mount", "--bind", foreign, foreign], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount")
    look = [*own, sys.executable, "-c", MOUNTED, place, foreign, place / where]
    told = subprocess.run(look, check=True, capture_output=True, text=True, env=environment(PYTHONPATH=PROJECT / "collections")).stdout
    assert [line.split()[0] for line in told.splitlines()] == [verdict] * 2
    assert verdict == "taken" or told.count(f"umount {place / where}") == 2


def test_a_look_at_a_directory_that_is_not_there_makes_none(place: Path) -> None:
    assert ownership.examine(place, NAME) == ownership.Record(NAME, [])
    assert not place.exists()


def test_a_claim_makes_the_directory_for_its_user_alone_and_notes_each_tree_once(place: Path) -> None:
    before = os.umask(0o000)
    try:
        assert ownership.claim(place, NAME).trees == []
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert ownership.claim(place, NAME, "source").trees == ["source"]
    assert ownership.claim(place, NAME, "context").trees == ["context", "source"]
    written = (place / "record.json").stat()
    assert ownership.claim(place, NAME, "source") == ownership.claim(place, NAME) == ownership.examine(place, NAME)
    assert ((place / "record.json").stat().st_ino, stat.S_IMODE(written.st_mode)) == (written.st_ino, 0o600)


def test_a_claim_makes_the_directories_above_and_closes_one_that_was_open(tmp_path: Path) -> None:
    place = tmp_path / "a/b" / NAME
    ownership.claim(place, NAME, "context")
    place.chmod(0o755)
    ownership.claim(place, NAME, "context")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_the_record_of_an_earlier_version_which_knew_more_is_read(place: Path) -> None:
    record(place, trees=["context"], images={"1": {"id": "sha256:1", "proven": True}}, container={"id": "x"})
    assert ownership.examine(place, NAME) == ownership.Record(NAME, ["context"])


# What an earlier version left without a record

ADOPTED: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "an empty directory": (lambda place: None, []),
    "a context with our Dockerfile": (
        lambda place: ((place / "context").mkdir(), (place / "context/Dockerfile").write_text(OURS)),
        ["context"],
    ),
    "a checkout beside it": (
        lambda place: (
            (place / "context").mkdir(),
            (place / "context/Dockerfile").write_text(OURS),
            (place / "source/.git").mkdir(parents=True),
        ),
        ["context", "source"],
    ),
    "what a run held before it staged anything": (lambda place: ((place / "working").touch(), (place / "lock").touch()), []),
}


@pytest.mark.parametrize(("make", "trees"), ADOPTED.values(), ids=ADOPTED)
def test_what_an_earlier_version_made_is_adopted(place: Path, make: Callable[[Path], Any], trees: list[str]) -> None:
    place.mkdir()
    make(place)
    assert ownership.examine(place, NAME).trees == trees
    assert not (place / "record.json").exists()
    assert ownership.claim(place, NAME).trees == trees


def tree(place: Path, name: str, dockerfile: str = "") -> None:
    (place / name).mkdir(parents=True)
    (place / name / "Dockerfile").write_text(dockerfile)


def link(place: Path, name: str, target: str) -> None:
    place.mkdir(exist_ok=True)
    (place / name).symlink_to(target)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a file in its place": (lambda place: place.write_text("mine"), "is no directory"),
    "a link in its place": (
        lambda place: (tree(place.with_name("other"), "context"), place.symlink_to("other")),
        "is a symbolic link to other",
    ),
    "a directory of the name": (lambda place: tree(place, "cmd"), "did not make it: cmd"),
    "a lock alone": (lambda place: (place.mkdir(), (place / "lock").touch()), "did not make it: lock"),
    "a context with another's Dockerfile": (lambda place: tree(place, "context", "FROM scratch\n"), "did not make it: context"),
    "a context with the Dockerfile of a service called alike": (
        lambda place: tree(place, "context", OURS.replace(f" {NAME},", f" {NAME}2,")),
        "did not make it: context",
    ),
    "a Dockerfile that is a link to ours": (
        lambda place: (
            tree(place.with_name("x"), "context", OURS),
            (place / "context").mkdir(parents=True),
            link(place, "context/Dockerfile", "../../x/context/Dockerfile"),
        ),
        "did not make it: context",
    ),
    "a context that is a link to ours": (
        lambda place: (tree(place.with_name("x"), "context", OURS), link(place, "context", "../x/context")),
        "did not make it: context",
    ),
    "a source that is a link beside our context": (
        lambda place: ((place.with_name("x") / ".git").mkdir(parents=True), tree(place, "context", OURS), link(place, "source", "../x")),
        "source is a symbolic link to ../x",
    ),
    "a source without a repository beside our context": (
        lambda place: (tree(place, "context", OURS), tree(place, "source")),
        "source exists already",
    ),
    "another service's record": (
        lambda place: (record(place, service="other", trees=["context"]), tree(place, "context")),
        "did not make it: context",
    ),
    "a garbled record": (lambda place: (tree(place, "context"), (place / "record.json").write_text("{")), "did not make it: context"),
    "a record without trees": (
        lambda place: (tree(place, "context"), (place / "record.json").write_text('{"service": "api"}')),
        "did not make it: context",
    ),
    "a record that is a list": (
        lambda place: (tree(place, "context"), (place / "record.json").write_text("[]")),
        "did not make it: context",
    ),
    "a record that is a link": (
        lambda place: (
            record(place.with_name("x"), trees=["context"]),
            tree(place, "context"),
            link(place, "record.json", "../x/record.json"),
        ),
        "did not make it: context",
    ),
    "a tree that the record does not name": (
        lambda place: (record(place, trees=["context"]), tree(place, "source")),
        "source exists already",
    ),
    "a tree that became a link": (
        lambda place: (record(place, trees=["context"]), link(place, "context", "../x")),
        "context is a symbolic link to ../x",
    ),
    "a tree that became a file": (lambda place: (record(place, trees=["context"]), (place / "context").touch()), "context is no directory"),
    "a report that is a link": (
        lambda place: (record(place), link(place, "report.json", "/etc/hostname")),
        "report.json is a symbolic link to /etc/hostname",
    ),
    "a lock that is a directory": (lambda place: (record(place), tree(place, "lock.new")), "lock.new is no file"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_the_role_did_not_make_is_refused_and_stays(place: Path, make: Callable[[Path], Any], words: str) -> None:
    make(place)
    told = str(refused(place))
    assert words in told and str(place) in told


def test_of_many_foreign_things_five_are_named(place: Path) -> None:
    for name in "gfedcba":
        tree(place, name)
    assert str(refused(place)).endswith("did not make it: a, b, c, d, e")


def test_files_of_somebody_elses_beside_ours_are_no_reason_to_refuse(place: Path) -> None:
    ownership.claim(place, NAME, "context")
    (place / "notes.txt").write_text("mine")
    (place / "mine").symlink_to("/etc/hostname")
    assert ownership.claim(place, NAME, "context").trees == ["context"]


# Who else could put a link there

CLOSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "open to all": (lambda path: path.chmod(0o757), "can be written to by others (mode 0757)"),
    "of another owner": (lambda path: os.chown(path, 65534, 0), "belongs to nobody, while this run works as root"),
    "of an owner without a name": (lambda path: os.chown(path, 54321, 0), "belongs to the user with the id 54321"),
}


@ROOT
@pytest.mark.parametrize("above", [False, True], ids=["the directory", "the one above it"])
@pytest.mark.parametrize(("make", "words"), CLOSED.values(), ids=CLOSED)
def test_a_directory_in_which_others_could_plant_links_is_refused(
    place: Path, make: Callable[[Path], Any], words: str, above: bool
) -> None:
    ownership.claim(place, NAME)
    path = place.parent if above else place
    make(path)
    told = refused(place)
    assert words in str(told) and str(path) in str(told)
    assert str(path) in told.remedy


@ROOT
def test_a_group_may_write_where_it_is_the_users_own(place: Path) -> None:
    ownership.claim(place, NAME)
    place.chmod(0o770)
    assert ownership.examine(place, NAME)
    os.chown(place, -1, os.getegid() + 1)
    assert "can be written to by others (mode 0770)" in str(refused(place))
    # Above, the group is its user's choice.
    place.chmod(0o700)
    os.chown(place.parent, -1, os.getegid() + 1)
    place.parent.chmod(0o775)
    assert ownership.examine(place, NAME)


def test_the_directory_above_may_be_like_tmp_or_a_link(place: Path, tmp_path: Path) -> None:
    place.parent.chmod(0o1777)
    ownership.claim(place, NAME, "context")
    (tmp_path / "way").symlink_to("work")
    assert ownership.examine(tmp_path / "way" / NAME, NAME).trees == ["context"]
    place.chmod(0o1777)
    assert "can be written to by others" in str(refused(place))


@ROOT
def test_the_directory_above_may_be_roots(unprivileged: Path) -> None:
    """As /opt is; the service's own directory has to be the user's."""
    assert os.geteuid() != 0
    assert ownership.examine(Path("/") / NAME, NAME) == ownership.Record(NAME, [])
    os.seteuid(0)
    (unprivileged / NAME).mkdir()
    os.seteuid(65534)
    assert "belongs to root, while this run works as nobody" in str(refused(unprivileged / NAME))


@pytest.mark.parametrize(("names", "ours"), [([], False), (["notes.txt"], False), (["notes.txt", "source"], True), (["lock.new"], True)])
def test_a_directory_with_a_name_of_ours_is_told_from_one_without(place: Path, names: list[str], ours: bool) -> None:
    assert not ownership.has_our_names(place)
    place.mkdir()
    for name in names:
        (place / name).touch()
    assert ownership.has_our_names(place) is ours


def test_a_place_that_cannot_be_looked_into_may_have_our_names(place: Path) -> None:
    place.touch()
    assert ownership.has_our_names(place)


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@EXAMPLES
@given(record=st.fixed_dictionaries({"service": st.just("app")}, optional={name: VALUE for name in ("trees", "images", "container", "x")}))
def test_a_record_of_another_form_makes_nothing_the_roles_own(record: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/context")
        Path(directory, "context/kept").write_text("kept")
        Path(directory, ownership.RECORD).write_text(json.dumps(record))
        with suppress(Failure):
            found = ownership.examine(Path(directory), "app")
            assert "context" in record["trees"] and found.trees == record["trees"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"service": "app"}', '{"service": "app", "trees": null}', "\x00"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / ownership.RECORD).write_text(text)
    with pytest.raises(Failure, match="did not make it"):
        ownership.examine(tmp_path, "app")
