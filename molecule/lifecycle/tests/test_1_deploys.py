"""What a deploy promises when nothing goes wrong."""

from __future__ import annotations

import shlex

import pytest
from lifecycle_tools import BREAK, BUILD, BUILDER, DEPLOY, DIRECTORY, ROLLBACK, RUNTIME, SERVICE, Case, unbuilt, until


@pytest.mark.core
def test_no_change_touches_nothing(case: Case) -> None:
    """A run that finds everything as it should be changes nothing: the same container, never restarted."""
    run = case.play(BUILD).must_succeed()
    assert run.changed == 0
    assert "nothing had to change" in run.summary
    case.untouched()


def test_no_change_for_another_user(case: Case) -> None:
    """What was built and proven is known to all users of the Engine: one with a home of his own changes nothing, and rolls back to the same."""
    run = case.play(BUILD, work_dir="/tmp/another-home").must_succeed()
    assert run.changed == 0
    assert "nothing had to change" in run.summary
    case.untouched()
    assert not case.vm.sh("ls -A /tmp/another-home 2>/dev/null || true")


def test_check_mode_touches_nothing(case: Case) -> None:
    """Check mode tells of the change and makes none: not the container, no image, no staged file."""
    look = f"(find {DIRECTORY} -type f -exec sha256sum {{}} +; docker images --all --format '{{{{.Repository}}}}:{{{{.Tag}}}} {{{{.ID}}}}') | sort"
    before = case.vm.sh(look)
    run = case.play(DEPLOY, "--check", "--diff", version=case.other, labels={"never": "seen"}).must_succeed()
    assert run.changed > 0
    assert f"-X main.version={case.other}" in run.said
    assert "deploy: " in run.said
    assert case.vm.sh(look) == before
    case.untouched()


@pytest.mark.core
def test_swap(case: Case) -> None:
    """A new version takes over: the old container is gone, `latest` and `previous` name the new and the old image."""
    case.play(version=case.other).must_succeed()
    case.swapped()
    assert case.vm.image_id(f"{SERVICE}:previous") == case.before.image
    case.nothing_left()


@pytest.mark.core
def test_rollback_to_previous(case: Case) -> None:
    """playbooks/rollback.yml returns to the image before, without building; once more it would not come back to the one that was left."""
    previous = case.vm.image_id(f"{SERVICE}:previous")
    since = case.vm.now()
    run = case.play(ROLLBACK).must_succeed()
    case.swapped()
    after = case.vm.service()
    assert after is not None
    assert after.image == previous
    assert case.vm.image_id(f"{SERVICE}:previous") not in (case.before.image, after.image)
    assert not case.vm.events(since, **BUILDER)
    assert run.seconds > 0
    case.nothing_left()


def test_rollback_to_named_image(case: Case) -> None:
    """playbooks/rollback.yml returns to the image that is named; a name that is not there is told, with those that are."""
    tags = [tag for tag in case.vm.docker("images", "--format", "{{.Tag}}", SERVICE).split() if tag not in ("latest", "previous")]
    wanted = next(tag for tag in tags if case.vm.image_id(f"{SERVICE}:{tag}") != case.before.image)
    message = case.failed(case.play(ROLLBACK, image_tag="000000000000"))
    assert "there is no image faulty:000000000000" in message
    assert wanted in message
    case.untouched()
    case.play(ROLLBACK, image_tag=wanted).must_succeed()
    case.swapped()
    after = case.vm.service()
    assert after is not None
    assert after.image == case.vm.image_id(f"{SERVICE}:{wanted}")


@pytest.mark.core
def test_unhealthy_container_is_replaced(case: Case) -> None:
    """A container that became unhealthy is replaced although nothing has changed."""
    case.vm.sh(BREAK)
    until(lambda: case.health() == "unhealthy")
    run = case.play().must_succeed()
    after = case.vm.service()
    assert after is not None
    assert after.id != case.before.id
    assert after.image == case.before.image
    assert case.vm.version() == case.version
    assert "a new container took over" in run.summary
    case.nothing_left()


def test_container_removed_by_hand(case: Case) -> None:
    """A container that somebody removed comes back, without a build."""
    case.vm.docker("rm", "--force", SERVICE)
    since = case.vm.now()
    case.play().must_succeed()
    assert case.vm.version() == case.version
    after = case.vm.service()
    assert after is not None
    assert after.image == case.before.image
    assert not case.vm.events(since, **BUILDER)
    case.nothing_left()


def test_image_and_context_changed_by_hand(case: Case) -> None:
    """Somebody took the tags away and wrote into the staged context: the next run builds from the true source again."""
    vm = case.vm
    tags = vm.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={SERVICE}").split()
    running = [tag for tag in tags if vm.image_id(tag) == case.before.image]
    vm.docker("rmi", "--force", *running)
    vm.sh(f"echo 'RUN echo tampered' >> {DIRECTORY}/context/Dockerfile; : > {DIRECTORY}/context/.dockerignore")
    vm.sh(f"echo 'func init() {{ panic(1) }}' >> {DIRECTORY}/context/main.go; echo TAMPERED > {DIRECTORY}/context/stray.txt")
    case.play().must_succeed()
    assert vm.version() == case.version
    staged = vm.sh(f"cd {DIRECTORY}/context; find . -type f | sort; cat Dockerfile main.go")
    assert "tampered" not in staged
    assert "panic(1)" not in staged
    assert "stray.txt" not in staged
    assert "credentials" in vm.sh(f"cat {DIRECTORY}/context/.dockerignore")
    after = vm.service()
    assert after is not None
    assert vm.image_id(f"{SERVICE}:latest") == after.image
    case.nothing_left()


def test_images_are_pruned_by_the_record_alone(case: Case) -> None:
    """The newest proven images and the newest builder stage stay; what somebody built from ours, named, or runs, stays in any case."""
    vm = case.vm

    def image(instructions: str, *tags: str) -> str:
        options = " ".join(f"--tag {tag}" for tag in tags)
        return vm.sh(f"printf {shlex.quote(instructions)} | DOCKER_BUILDKIT=0 docker build --quiet {options} -")

    derived = [image(f"FROM {SERVICE}:latest\\nLABEL number={number}\\n", f"{SERVICE}:00000000000{number}") for number in range(3)]
    base = f"FROM {RUNTIME}\\nLABEL"
    foreign = [
        *derived,
        image(f"{base} go-service.name={SERVICE} go-service.kind=builder\\n"),
        image(f"{base} go-service.name=other go-service.kind=image\\n", "other:1"),
        image(f"{base} go-service.name=other go-service.kind=builder\\n"),
        image(f"{base} somebody=else\\n"),
        image(f"{base} somebody=else named=alike\\n", f"{SERVICE}:by-hand"),
    ]
    try:
        versions = [unbuilt("P"), unbuilt("Q")]
        for version in versions:
            case.play(version=version, keep_images=2).must_succeed()
        assert vm.version() == versions[-1]
        for identity in foreign:
            assert vm.image_id(identity), "an image that the role did not make is gone"
        named = vm.docker("images", "--format", "{{.Tag}}", "--filter", f"label=go-service.name={SERVICE}", SERVICE).split()
        ours = [tag for tag in named if not tag.startswith("00000000000")]
        assert len(ours) == 4, named  # two images by their digests, latest and previous
        left = vm.docker(
            "images", "--quiet", "--no-trunc", "--filter", f"label=go-service.name={SERVICE}", "--filter", "dangling=true"
        ).split()
        assert len(set(left) - set(foreign)) == 1, "the newest builder stage stays, and only that one"
    finally:
        vm.docker("rmi", "--force", *foreign)
