"""All evidence of an image and its container, asked for once."""

from __future__ import annotations

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    collect,
)
from fuzzing import EXAMPLES, read_all
from hypothesis import given
from hypothesis import strategies as st


def test_collect():
    """The evidence of a good image."""
    found = samples.good_evidence()
    assert found.image.measured
    assert found.image.size == sum(layer.size for layer in found.image.layers)
    assert [layer.in_base for layer in found.image.layers] == [True, False, False]
    assert [layer.created_by for layer in found.image.layers] == [
        "COPY /",
        "RUN adduser -D -H -s /sbin/nologin app",
        "COPY --chown=app:app /usr/local/bin/cat-server",
    ]
    assert found.base.matches
    assert found.account.name == "app"
    assert found.user_ids == (1000, 1000)
    assert found.binary.build_info.main.path == "example.com/cat-server"
    assert found.binary.copies == ()
    assert found.added_packages == ()
    assert found.os_release["ID"] == "alpine"
    assert found.memory == 7_000_000
    assert found.engine.version == "28.5.2"
    assert found.scan is None
    assert found.gaps == ()


def test_collect_asks_once():
    """One pass over the layers, and nothing twice: verification has to be cheap."""
    tars = samples.good_tars()
    engine = samples.engine(tars, samples.image_record(tars))
    found = collect.collect(
        engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner_paths=()
    )
    assert len(engine.asked) == len(set(engine.asked)) == 7
    engine.asked.clear()
    again = collect.observe(engine, found, "cat-server")
    assert engine.asked == ["container cat-server", "stats cat-server"]
    assert again.files is found.files


def test_image_alone():
    """Without a container the image is looked at, and no container is asked for."""
    tars = samples.good_tars()
    engine = samples.engine(tars, samples.image_record(tars))
    found = collect.collect(engine, "cat-server:1", "", base_image_ref="gone:1", binary_path=samples.BINARY, scanner_paths=())
    assert found.container is None
    assert not found.base.found
    assert not any(asked.startswith(("container", "stats")) for asked in engine.asked)


@pytest.mark.parametrize(
    "copied",
    ["/bin/sh -c #(nop) COPY --chown=root:shadow file:{} in /etc/shadow ", "COPY --chown=root:shadow /etc/shadow /etc/shadow # buildkit"],
)
def test_the_base_of_an_image_for_another_platform_is_what_lies_below_its_own_first_file(copied: str) -> None:
    """Nothing was run on it, and where it runs its base is not."""
    tars = samples.good_tars()
    steps = (samples.STEPS[0], copied.format("a" * 64), samples.STEPS[2])
    engine = samples.Engine(samples.engine(tars, samples.image_record(tars)).answers, {"archive cat-server:1": samples.save(tars, steps)})
    found = collect.collect(engine, "cat-server:1", "", base_image_ref="gone:1", binary_path=samples.BINARY, earlier=True, scanner_paths=())
    assert found.base.matches and [layer.in_base for layer in found.image.layers] == [True, False, False]


def test_stopped_container():
    """A container that does not run has neither process nor memory."""
    tars = samples.good_tars()
    container = {**samples.container_record(), "State": {"Running": False, "Pid": 0}}
    engine = samples.engine(tars, samples.image_record(tars), container)
    found = collect.collect(
        engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner_paths=()
    )
    assert (found.process, found.memory) == (None, None)
    assert "stats cat-server" not in engine.asked


def test_memory_is_not_known_where_the_engine_counts_it_for_all_together():
    """Without the controller a container's figure is that of whatever shares its control group."""
    tars = samples.good_tars()
    engine = samples.engine(tars, samples.image_record(tars))
    engine.limits_not_held = ("memory",)
    found = collect.collect(
        engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner_paths=()
    )
    assert found.memory is None and "stats cat-server" not in engine.asked


def test_unreadable_layers_fall_back_to_the_container():
    """With layers that cannot be read, the container's own file system is looked at, without what the Engine puts into
    it."""
    tars = samples.good_tars()
    engine = samples.engine(tars, samples.image_record(tars), form="zstd")
    exported = samples.base_layer().add("/.dockerenv").add("/etc/hosts", "x").directory("/dev").directory("/dev/pts")
    exported.add(samples.BINARY, samples.GOOD_BINARY, mode=0o755, uid=1000, gid=1000)
    engine.streams["files cat-server"] = exported.tar()
    found = collect.collect(
        engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner_paths=()
    )
    if not found.gaps:
        pytest.skip("this Python reads zstd")
    assert found.binary.build_info.go_version == "go1.27.3"
    assert not {"/.dockerenv", "/etc/hosts", "/dev", "/dev/pts"} & set(found.files)
    assert found.layers == ()
    assert found.image.size == found.image.reported_size == 4242


def test_copies_of_the_binary():
    """Another name, another layer and an older version are all found."""
    layers = samples.Layer().add("/opt/same", samples.GOOD_BINARY), samples.binary_layer(mode=0o700)
    found = samples.good_evidence(*layers)
    assert found.binary.entry.layer == 4
    assert found.binary.copies == ("/usr/local/bin/cat-server in layer 3", "/opt/same in layer 4")
    older = samples.good_evidence(samples.binary_layer(b"#!/bin/sh\n"))
    assert older.binary.copies == ("another version of it in layer 3",)
    assert older.binary.problem == "not an ELF file"


def test_missing_binary():
    """No file at the binary's path, and a link there."""
    assert samples.good_evidence(replace_binary=samples.Layer()).binary is None
    linked = samples.good_evidence(replace_binary=samples.Layer().link(samples.BINARY, "/bin/busybox"))
    assert linked.binary.problem == "it is a symlink, not a file"


@pytest.mark.parametrize(
    ("user", "ids", "name"),
    [
        ("app", (1000, 1000), "app"),
        ("1000", (1000, 1000), "app"),
        ("app:nobody", (1000, 65534), "app"),
        ("1000:7", (1000, 7), "app"),
        ("4000", (4000, 0), None),
        ("", (0, 0), "root"),
        ("0", (0, 0), "root"),
        ("ghost", (None, None), None),
    ],
)
def test_user_ids(user, ids, name):
    """USER in all its forms; a number without an account has root's group, as the Engine gives it."""
    found = samples.good_evidence(config={"User": user})
    assert found.user_ids == ids
    assert (found.account.name if found.account else None) == name


@EXAMPLES
@given(content=st.binary(max_size=300))
def test_any_bytes_are_no_executable(content: bytes) -> None:
    read_all(content)
    read_all(b"\x7fELF\x02\x01" + content)


@EXAMPLES
@given(changes=st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), max_size=6), end=st.integers(0, 4000))
def test_a_damaged_go_binary_is_read_or_refused(changes: list[tuple[int, bytes]], end: int) -> None:
    damaged = bytearray(samples.GOOD_BINARY)
    for place, change in changes:
        damaged[place : place + len(change)] = change
    read_all(bytes(damaged))
    read_all(bytes(damaged[:end]))
