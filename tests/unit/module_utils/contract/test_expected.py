"""The role's settings become what the checks compare with."""

from __future__ import annotations

from ansible_collections.proven.go_service.plugins.module_utils.contract import expected
from ansible_collections.proven.go_service.plugins.plugin_utils import variables


def test_expected_from_settings():
    """The role's checked settings become what the checks compare with."""
    defaults = {name: None for name in variables.FIELDS}
    defaults.update(
        name="svc",
        port=9000,
        publish="[::1]:90",
        health_path="/up",
        health_host="127.0.0.1",
        health_interval="1m30s",
        health_timeout="500ms",
        health_start_period="5s",
        health_retries=2,
        user="app",
        uid="",
        numeric_user=False,
        packages=["tzdata"],
        cap_add=[],
        pids_limit=64,
        memory="64m",
        cpus=0.5,
        restart_policy="no",
        runtime_image="alpine:3.24",
        version="1.2",
        image_tag="",
        budget={"image_mb": 20.0},
        budget_warn_only=["image_mb"],
    )
    found = expected.Expected.from_settings(defaults, start_seconds=0.5, candidate=True)
    assert found.health_test == ("wget", "--no-verbose", "--tries=1", "--spider", "http://127.0.0.1:9000/up")
    assert (found.health_interval, found.health_timeout, found.publish) == (90.0, 0.5, ("::1", 90))
    assert (found.memory, found.uid, found.budget("image_mb"), found.budget("memory_mb")) == (64 << 20, None, 20.0, None)
    assert (found.start_seconds, found.candidate, found.warn_only) == (0.5, True, ("image_mb",))
    assert found.labels == {"go-service.name": "svc", "org.opencontainers.image.title": "svc", "org.opencontainers.image.version": "1.2"}
    assert "org.opencontainers.image.version" not in expected.Expected.from_settings({**defaults, "image_tag": "previous"}).labels
