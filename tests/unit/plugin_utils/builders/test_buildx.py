"""Why a build by buildx failed, from its log."""

from __future__ import annotations

from ansible_collections.proven.go_service.plugins.plugin_utils.builders import buildx
from build_logs import BUILDKIT


def test_an_image_that_went_to_another_store_than_the_engines() -> None:
    failure = buildx.failure({"image": {}, "stderr": "WARNING: No output specified with docker-container driver."})
    assert "docker buildx use default" in failure.remedy


def test_a_failed_build_of_buildkit() -> None:
    failure = buildx.failure({"failed": True, "msg": "Building api:latest failed", "stderr": BUILDKIT.format(cached="#6 CACHED")})
    assert failure.message == 'the build failed at: RUN go build -ldflags="-w -s" -o /out/cat-server .'
    assert failure.evidence == ["# example.com/cat-server", "./main.go:12:2: undefined: foo"]
    assert "Correct the source" in failure.remedy
