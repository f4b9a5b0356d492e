"""Reading an image's layers in every form they come in, and everything that evidence is made of."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import collect, databases, image_archive, model, scanners
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import process as processes

# --- Layers and archives


@pytest.mark.parametrize("form", ["docker", "oci", "gzip"])
def test_image_in_every_form(form):
    """Engines before 25, from 25 and with the containerd store give the same layers."""
    tars = samples.good_tars()
    stream = io.BytesIO(samples.save(tars, form=form, twins=True))
    found = image_archive.read_image(stream, [samples.diff_id(tar) for tar in tars], [samples.BINARY])
    assert found.complete
    assert found.diff_ids == tuple(samples.diff_id(tar) for tar in tars)
    assert [index for index, layer in enumerate(found.layers) if samples.BINARY in layer.entries] == [2]
    assert found.layers[2].contents[samples.BINARY].tell() == len(samples.GOOD_BINARY)
    assert {entry.layer for entry in found.layers[2].entries.values()} == {2}
    assert found.layers[2].size == len(samples.GOOD_BINARY)


def test_stream_is_read_forwards_only():
    """The archive is never held or sought in: what the Engine sends is a pipe."""

    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self._data.read(min(size, 999))  # short reads, as a network gives

    tars = samples.good_tars()
    found = image_archive.read_image(Pipe(samples.save(tars)), [samples.diff_id(tar) for tar in tars])
    assert found.complete


def test_identical_layers_are_links_before_engine_25():
    """The same layer twice is written once, with a link in the second place."""
    tar = samples.Layer().add("/a", "x").tar()
    found = image_archive.read_image(io.BytesIO(samples.save([tar, tar])), [samples.diff_id(tar)] * 2)
    assert found.complete
    assert [list(layer.entries) for layer in found.layers] == [["/a"], ["/a"]]


def test_empty_layer():
    """A layer without any change is a tar of zeros."""
    tar = samples.Layer().tar()
    found = image_archive.read_image(io.BytesIO(samples.save([tar])), [samples.diff_id(tar)])
    assert found.complete
    assert found.layers[0].entries == {}


def test_unreadable_compression_leaves_a_gap():
    """zstd is said to be unreadable, not taken for an empty layer (Python before 3.14 has no zstd)."""
    pytest.importorskip("sys")
    try:
        import compression.zstd  # noqa: F401, PLC0415
    except ImportError:
        tars = samples.good_tars()
        found = image_archive.read_image(io.BytesIO(samples.save(tars, form="zstd")), [samples.diff_id(tar) for tar in tars])
        assert not found.complete
        assert found.layers == (None, None, None)


def test_another_image_is_refused():
    """An archive that does not hold the image is an error, not an image without layers."""
    with pytest.raises(image_archive.ArchiveError, match="does not hold the image"):
        image_archive.read_image(io.BytesIO(samples.save(samples.good_tars())), ["sha256:0"])


def test_archive_without_manifest():
    """An archive without manifest.json is said to be one."""
    buffer = io.BytesIO()
    tarfile.TarFile(fileobj=buffer, mode="w").close()
    buffer.seek(0)
    with pytest.raises(image_archive.ArchiveError, match=r"no manifest\.json"):
        image_archive.read_image(buffer, [])


def test_entries():
    """Types, mode bits, owners, link targets, sizes and file capabilities."""
    layer = samples.Layer().directory("/d", 0o1777).add("/d/f", "hello", mode=0o4755, uid=7, gid=8)
    layer.link("/l", "d/f").add("/h", type=tarfile.LNKTYPE, target="d/f", mode=0o4755)
    layer.add("/cap", "x", xattrs={"security.capability": "v"}).add("/fifo", type=tarfile.FIFOTYPE)
    (found,) = samples.read_layers(layer)
    assert found.entries["/d"].type == image_archive.DIRECTORY
    assert found.entries["/d"].mode == 0o1777
    entry = found.entries["/d/f"]
    assert (entry.type, entry.mode & stat.S_ISUID, entry.uid, entry.gid, entry.size) == (image_archive.FILE, 0o4000, 7, 8, 5)
    assert entry.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert (found.entries["/l"].type, found.entries["/l"].target, found.entries["/l"].size) == (image_archive.SYMLINK, "d/f", 3)
    assert (found.entries["/h"].type, found.entries["/h"].target) == (image_archive.HARDLINK, "/d/f")
    assert found.entries["/cap"].capabilities
    assert not entry.capabilities
    assert found.entries["/fifo"].type == image_archive.OTHER


def test_merge():
    """Later layers win, remove, empty and replace."""
    lower = samples.Layer().directory("/a").add("/a/1", "1").add("/a/2", "2").directory("/b").add("/b/1", "1")
    lower.directory("/c").add("/c/1", "1").add("/gone", "x").directory("/d").add("/d/deep/1", "x")
    upper = samples.Layer().add("/a/1", "new").add("/.wh.gone").add("/b/.wh..wh..opq").add("/b/2", "2")
    upper.add("/c", "now a file").add("/.wh.d")
    files = image_archive.merge(samples.read_layers(lower, upper))
    assert sorted(files) == ["/a", "/a/1", "/a/2", "/b", "/b/2", "/c"]
    assert files["/a/1"].size == 3
    assert files["/c"].type == image_archive.FILE


@pytest.mark.parametrize(
    ("created_by", "shown"),
    [
        ("/bin/sh -c #(nop)  USER app", "USER app"),
        ("/bin/sh -c adduser -D app", "RUN adduser -D app"),
        ("RUN /bin/sh -c adduser -D app # buildkit", "RUN adduser -D app"),
        ("|2 A=1 B=2 /bin/sh -c go build", "RUN go build"),
        ("/bin/sh -c #(nop) COPY file:" + "a" * 64 + " in /x ", "COPY /x"),
        ("/bin/sh -c #(nop) COPY --chown=app:appfile:" + "a" * 64 + " in /x ", "COPY --chown=app:app /x"),
        ("COPY --chown=app:app /out/x /x # buildkit", "COPY --chown=app:app /out/x /x"),
        ("", ""),
    ],
)
def test_instructions(created_by, shown):
    """The history of both builders reads as the Dockerfile did."""
    assert image_archive.instruction(created_by) == shown


# --- What is in the files


def test_accounts():
    """Passwords are taken from where they are; damaged lines are passed over."""
    passwd = "root:x:0:0:root:/root:/bin/sh\nopen::5:5::/:/bin/sh\nbroken:x:y\napp:x:1000:1000::/:/sbin/nologin\n"
    accounts = databases.parse_accounts(passwd, "root:*:1::::::\napp::1::::::\nshort\n")
    assert [(a.name, a.uid, a.password) for a in accounts] == [("root", 0, "*"), ("open", 5, ""), ("app", 1000, "")]
    assert databases.parse_accounts("a:x:1:1:::\n", "")[0].password is None


def test_groups():
    """Members are read; damaged lines are passed over."""
    groups = databases.parse_groups("root:x:0:\nwheel:x:10:root,app\nbroken\n")
    assert groups == (model.Group("root", 0), model.Group("wheel", 10, ("root", "app")))


def test_apk_database():
    """Packages with their files, and blocks without a name left out."""
    packages = databases.parse_apk_database(samples.APK_DATABASE + "C:x\nT:nothing\n")
    assert [(p.name, p.version, p.license) for p in packages] == [
        ("busybox", "1.37.0-r12", "GPL-2.0-only"),
        ("musl", "1.2.5-r9", "MIT"),
    ]
    assert packages[1].files == {"/lib/ld-musl-x86_64.so.1"}
    assert databases.parse_apk_database("") == ()


def test_os_release():
    """Quotes and comments."""
    assert databases.parse_os_release('# x\nID=alpine\nPRETTY_NAME="Alpine Linux"\nnothing\n') == {
        "ID": "alpine",
        "PRETTY_NAME": "Alpine Linux",
    }


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        ({"memory_stats": {"usage": 10, "stats": {"total_inactive_file": 4, "inactive_file": 1}}}, 6),
        ({"memory_stats": {"usage": 10, "stats": {"inactive_file": 3}}}, 7),
        ({"memory_stats": {"usage": 10, "stats": {"inactive_file": 30}}}, 10),
        ({"memory_stats": {"usage": 10}}, 10),
        ({"memory_stats": {}}, None),
        ({}, None),
    ],
)
def test_memory(stats, expected):
    """As `docker stats` counts on both versions of cgroups."""
    assert processes.memory_in_use(stats) == expected


STATUS = (
    "Name:\tcat-server\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t1000 2000\nVmRSS:\t  "
    "6248 kB\n"
    "CapEff:\t0000000000000000\nCapBnd:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2\n"
)


def test_process(tmp_path: Path):
    """The kernel's record is read where it is the container's, and only there."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(STATUS)
    (tmp_path / "7/cgroup").write_text("0::/system.slice/docker-abc123.scope\n")
    process = processes.read_process(7, "abc123", str(tmp_path))
    assert process == model.ProcessFacts(1000, 1000, (1000, 2000), 0, 0x400, True, 2, 6248 * 1024)
    (tmp_path / "7/attr").mkdir()
    (tmp_path / "7/attr/current").write_text("docker-default (enforce)\n")
    assert processes.read_process(7, "abc123", str(tmp_path)).confinement == "docker-default (enforce)"
    assert processes.read_process(7, "another", str(tmp_path)) is None
    assert processes.read_process(8, "abc123", str(tmp_path)) is None


@pytest.mark.parametrize("line", ["Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Groups"])
def test_incomplete_process(line):
    """A kernel that says less is no record at all, rather than one with zeros."""
    text = "\n".join(row for row in STATUS.splitlines() if not row.startswith(line))
    assert processes.parse_process_status(text) is None


# --- All of it


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
    found = collect.collect(engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner="")
    assert len(engine.asked) == len(set(engine.asked)) == 7
    engine.asked.clear()
    again = collect.observe(engine, found, "cat-server")
    assert engine.asked == ["container cat-server", "stats cat-server"]
    assert again.files is found.files


def test_image_alone():
    """Without a container the image is looked at, and no container is asked for."""
    tars = samples.good_tars()
    engine = samples.engine(tars, samples.image_record(tars))
    found = collect.collect(engine, "cat-server:1", "", base_image_ref="gone:1", binary_path=samples.BINARY, scanner="")
    assert found.container is None
    assert not found.base.found
    assert not any(asked.startswith(("container", "stats")) for asked in engine.asked)


def test_stopped_container():
    """A container that does not run has neither process nor memory."""
    tars = samples.good_tars()
    container = {**samples.container_record(), "State": {"Running": False, "Pid": 0}}
    engine = samples.engine(tars, samples.image_record(tars), container)
    found = collect.collect(engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner="")
    assert (found.process, found.memory) == (None, None)
    assert "stats cat-server" not in engine.asked


def test_unreadable_layers_fall_back_to_the_container():
    """With layers that cannot be read, the container's own file system is looked at, without what the Engine puts into
    it."""
    tars = samples.good_tars()
    engine = samples.engine(tars, samples.image_record(tars), form="zstd")
    exported = samples.base_layer().add("/.dockerenv").add("/etc/hosts", "x").directory("/dev").directory("/dev/pts")
    exported.add(samples.BINARY, samples.GOOD_BINARY, mode=0o755, uid=1000, gid=1000)
    engine.streams["files cat-server"] = exported.tar()
    found = collect.collect(engine, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=samples.BINARY, scanner="")
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


# --- Scanners. No scanner can be had where these tests run: their documented formats are read from small samples.

TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "alpine-39.tar.gz",
    "Results": [
        {
            "Target": "alpine 3.9.4",
            "Class": "os-pkgs",
            "Type": "alpine",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2019-1549",
                    "PkgName": "libcrypto1.1",
                    "InstalledVersion": "1.1.1b-r1",
                    "FixedVersion": "1.1.1d-r0",
                    "Severity": "MEDIUM",
                },
                {"VulnerabilityID": "CVE-2019-14697", "PkgName": "musl", "InstalledVersion": "1.1.20-r4", "Severity": "CRITICAL"},
            ],
        },
        {
            "Target": "usr/local/bin/x",
            "Type": "gobinary",
            "Vulnerabilities": [
                {"VulnerabilityID": "CVE-2019-14697", "PkgName": "musl", "InstalledVersion": "1.1.20-r4", "Severity": "CRITICAL"}
            ],
        },
        {"Target": "nothing found", "Class": "lang-pkgs"},
    ],
}
GRYPE = {
    "matches": [
        {
            "vulnerability": {
                "id": "CVE-2019-14697",
                "severity": "Critical",
                "fix": {"versions": ["1.1.20-r5"], "state": "fixed"},
            },
            "artifact": {"name": "musl", "version": "1.1.20-r4", "type": "apk"},
        },
        {"vulnerability": {"id": "CVE-1", "severity": "Negligible", "fix": {}}, "artifact": {"name": "a", "version": "1"}},
        {"vulnerability": {"id": "CVE-2"}, "artifact": {"name": "a", "version": "1"}},
    ],
    "descriptor": {"name": "grype", "version": "0.111.0"},
}


def test_trivy():
    """Counts by severity, the gravest first, one finding once."""
    found = scanners.parse_trivy(TRIVY)
    assert found.counts == {"critical": 1, "high": 0, "medium": 1, "low": 0, "unknown": 0}
    assert [finding.id for finding in found.worst] == ["CVE-2019-14697", "CVE-2019-1549"]
    assert found.worst[1].fixed_in == "1.1.1d-r0"


def test_grype():
    """The same of grype, with its own words for severities."""
    found = scanners.parse_grype(GRYPE)
    assert found.counts == {"critical": 1, "high": 0, "medium": 0, "low": 1, "unknown": 1}
    assert found.worst[0].fixed_in == "1.1.20-r5"


@pytest.mark.parametrize("parse", [scanners.parse_trivy, scanners.parse_grype])
@pytest.mark.parametrize("document", [[], {}, {"SchemaVersion": 1}, None, {"matches": {}}])
def test_foreign_scan(parse, document):
    """Anything else is refused, not taken for an image without vulnerabilities."""
    with pytest.raises(scanners.ScanError):
        parse(document)


@pytest.fixture
def fake_scanner(tmp_path: Path):
    """A scanner that prints what it is told, and notes how it was called."""

    def make(name: str, script: str) -> str:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(("name", "document", "target"), [("trivy", TRIVY, "x:1"), ("grype", GRYPE, "docker:x:1")])
def test_scanner_is_run(fake_scanner, tmp_path, name, document, target):
    """The image of the local Engine is scanned, and the answer is read."""
    (tmp_path / "answer").write_text(json.dumps(document))
    found = scanners.scan("x:1", fake_scanner(name, f"cat {tmp_path}/answer"))
    assert (found.tool, found.counts["critical"], found.problem) == (name, 1, "")
    assert (tmp_path / "called").read_text().split()[-1] == target


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'FATAL no database' >&2; exit 1", "it ended with 1: FATAL no database"),
        ("echo not json", "its output cannot be read"),
        ("echo '{}'", "its output cannot be read"),
    ],
)
def test_failing_scanner(fake_scanner, script, problem):
    """A scanner that fails is a problem, never an image without vulnerabilities."""
    found = scanners.scan("x:1", fake_scanner("trivy", script))
    assert found.problem.startswith(problem)
    assert found.counts == {}


def test_no_scanner(monkeypatch, tmp_path):
    """None in PATH, and one that is not known."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert scanners.scan("x:1") is None
    assert scanners.scan("x:1", "") is None
    assert "neither trivy nor grype" in scanners.scan("x:1", "/opt/clair").problem
