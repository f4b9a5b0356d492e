"""The role's settings become what the checks compare with."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.proven.go_service.plugins.module_utils.contract import expected


def test_expected_from_settings(settings):
    """The role's checked settings become what the checks compare with."""
    wanted = settings(
        name="svc",
        port=9000,
        publish="[::1]:90",
        health_path="/up",
        health_host="127.0.0.1",
        health_interval="1m30s",
        health_timeout="500ms",
        workdir="/app",
        files=[{"src": "web", "dest": "pages", "owner": "root"}],
        directories=["."],
        memory="64m",
        version="1.2",
        budget={"image_mb": 20, "memory_mb": None},
        budget_warn_only=["image_mb"],
    )
    found = expected.Expected.from_settings(wanted, start_seconds=0.5, candidate=True)
    assert found.health_test == ("wget", "--no-verbose", "--tries=1", "--spider", "http://127.0.0.1:9000/up")
    assert (found.health_interval, found.health_timeout, str(found.publish)) == (90.0, 0.5, "[::1]:90")
    assert (found.memory, found.uid, found.budget("image_mb"), found.budget("memory_mb")) == (64 << 20, None, 20.0, None)
    assert (found.workdir, found.files, found.directories) == ("/app", {"/app/pages": "root"}, ("/app",))
    assert (found.start_seconds, found.candidate, found.warn_only) == (0.5, True, ("image_mb",))
    assert found.labels == {"go-service.name": "svc", "org.opencontainers.image.title": "svc", "org.opencontainers.image.version": "1.2"}
    assert "org.opencontainers.image.version" not in expected.Expected.from_settings(replace(wanted, image_tag="previous")).labels
