"""Which images are ours, which tags move, and which images go: on a store of images in memory, which has whatever a test needs at once.

The same on a real Engine, with all entry points of the role: runs/test_ownership.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import images
from ansible_collections.proven.go_service.plugins.module_utils.deploy.history import History

NAME = "api"
COPY = f"COPY file:1 in /usr/local/bin/{NAME} "


def digest_of(number: object) -> str:
    return hashlib.sha256(f"{number}".encode()).hexdigest()


def tag_of(number: object) -> str:
    return digest_of(number)[:12]


class Store:
    """An Engine's images; used: ids that a container runs, which cannot be removed."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()

    def add(self, steps: list[str], labels: dict[str, str], *tags: str) -> str:
        """Make an image of instructions, the last one first, and return its id."""
        number = len(self.made) + 1
        identity = "sha256:" + hashlib.sha256(f"image {number}".encode()).hexdigest()
        self.made[identity] = {"Id": identity, "RepoTags": list(tags), "Labels": labels, "made": number, "steps": steps}
        return identity

    def ours(self, number: object, *tags: str, copies: tuple[str, ...] = (COPY,), after: tuple[str, ...] = ()) -> str:
        """Make an image as the role does, under its digest; after: what somebody did to it since, the last first."""
        digest = digest_of(number)
        labels = {"go-service.name": NAME, "go-service.kind": "image", "go-service.digest": digest}
        steps = [*after, f'LABEL go-service.digest="{digest}" org.opencontainers.image.version="1"', *copies, "ENTRYPOINT x", "FROM base"]
        return self.add(steps, labels, *(tags or (f"{NAME}:{digest[:12]}",)))

    def stage(self, *steps: str, name: str = NAME) -> str:
        """Make what a build leaves of its builder stage, without a name."""
        own = [*steps, f"LABEL go-service.kind=builder go-service.name={name}", "FROM golang"]
        return self.add(own, {"go-service.kind": "builder", "go-service.name": name})

    def history(self, identity: str) -> list[dict[str, Any]]:
        """Return the steps of an image."""
        return [{"CreatedBy": step, "Size": 0} for step in self.made[identity]["steps"]]

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return an image's record."""
        for image in self.made.values():
            if reference in (image["Id"], *image["RepoTags"]):
                config = {"Labels": image["Labels"], "Env": image.get("env")}
                return {**image, "Created": f"2026-01-{image['made']:02d}T00:00:00Z", "Config": config}
        return None

    def images(self, *, dangling: bool, name: str, kind: str) -> list[dict[str, Any]]:
        """Return the images with these labels, those without a name or the others."""
        wanted = {"go-service.name": name, "go-service.kind": kind}
        return [
            {**image, "Created": image["made"]}
            for image in self.made.values()
            if wanted.items() <= image["Labels"].items() and bool(image["RepoTags"]) is not dangling
        ]

    def tag(self, identity: str, name: str, tag: str) -> None:
        """Give an image a tag, which no other one has afterwards."""
        for image in self.made.values():
            image["RepoTags"] = [given for given in image["RepoTags"] if given != f"{name}:{tag}"]
        self.made[identity]["RepoTags"].append(f"{name}:{tag}")

    def remove_image(self, reference: str) -> bool:
        """Take a name away, and the image with its last one."""
        image = self.image(reference)
        if image is None or image["Id"] in self.used:
            return False
        left = [tag for tag in image["RepoTags"] if tag != reference]
        self.made[image["Id"]]["RepoTags"] = left
        if not left:
            del self.made[image["Id"]]
        return True


@pytest.fixture
def store() -> Store:
    """Return an Engine without images."""
    return Store()


def ours(store: Store, identity: str, past: History | None = None) -> bool:
    """Say whether an image is held to be of the service."""
    image = store.image(identity)
    assert image is not None
    return images.is_ours(store, image, NAME, past or History(NAME))


def test_an_image_is_ours_by_its_own_last_instruction(store: Store) -> None:
    made = store.ours(1)
    assert ours(store, made)
    # The classic builder writes no quotes.
    store.made[made]["steps"][0] = store.made[made]["steps"][0].replace('"', "")
    assert ours(store, made)


FOREIGN: dict[str, dict[str, Any]] = {
    "built FROM ours": {"after": ("ENV A=b",)},
    "labelled once more": {"after": (f"LABEL go-service.digest={digest_of(1)}",)},
    "without our binary": {"copies": ()},
    "with another's binary": {"copies": ("COPY file:1 in /usr/local/bin/other ",)},
    "with our binary twice": {"copies": (COPY, COPY)},
}


@pytest.mark.parametrize("how", FOREIGN.values(), ids=FOREIGN)
def test_an_image_that_inherits_our_labels_is_foreign(store: Store, how: dict[str, Any]) -> None:
    assert not ours(store, store.ours(1, **how))


@pytest.mark.parametrize(
    "labels",
    [
        {"go-service.name": "other"},
        {"go-service.kind": "builder"},
        {"go-service.digest": ""},
        {"go-service.digest": digest_of(2)},
        {"go-service.digest": digest_of(1) + "\n"},
        {"go-service.digest": "x" + digest_of(1)},
    ],
    ids=str,
)
def test_labels_that_do_not_go_with_the_instructions_are_foreign(store: Store, labels: dict[str, str]) -> None:
    made = store.ours(1)
    store.made[made]["Labels"].update(labels)
    assert not ours(store, made)


def test_an_image_of_the_history_is_ours_whatever_it_says_of_itself(store: Store) -> None:
    made = store.add(["FROM scratch"], {})
    assert not ours(store, made)
    assert ours(store, made, History(NAME, {"x": {"id": made, "proven": False}}))


STAGES: dict[str, tuple[tuple[str, ...], bool]] = {
    "whole": ((f"RUN go build -ldflags=-s -o /out/{NAME} .", "COPY dir:1 in /src/ ", "RUN go build fmt"), True),
    "whole, by BuildKit": ((f"RUN go build -ldflags=-s -o /out/{NAME} .", "COPY . /src/", "RUN go build fmt"), True),
    "broken off before it was linked": (("COPY dir:1 in /src/ ", "RUN go build fmt"), True),
    "broken off before the source": (("RUN go build fmt",), False),
    "built FROM it": (("RUN touch x", f"RUN go build -ldflags=-s -o /out/{NAME} .", "COPY dir:1 in /src/ "), False),
    "another source in it": (("COPY dir:2 in /src/ ", f"RUN go build -ldflags=-s -o /out/{NAME} .", "COPY dir:1 in /src/ "), False),
    "linked twice": ((f"RUN go build -ldflags=-s -o /out/{NAME} .",) * 2 + ("COPY dir:1 in /src/ ",), False),
    "of another service": (("RUN go build -ldflags=-s -o /out/apis .", "COPY dir:1 in /src/ "), False),
}


@pytest.mark.parametrize(("steps", "expected"), STAGES.values(), ids=STAGES)
def test_a_builder_stage_is_ours_by_how_it_ends(store: Store, steps: tuple[str, ...], expected: bool) -> None:
    (image,) = (store.stage(*steps), store.images(dangling=True, name=NAME, kind="builder"))[1]
    assert images.is_our_builder_stage(store, image, NAME) is expected


UNFINISHED: dict[str, tuple[tuple[str, ...], bool]] = {
    "all but the last label": ((f"/bin/sh -c #(nop) {COPY}", "/bin/sh -c #(nop)  USER app"), True),
    "the first label alone": ((), True),
    "with directories": (("/bin/sh -c mkdir -p /srv/data && chown app:app /srv/data", "/bin/sh -c #(nop) WORKDIR /srv"), True),
    "built FROM it": (("/bin/sh -c touch x", f"/bin/sh -c #(nop) {COPY}"), False),
    "with another environment": (("/bin/sh -c #(nop)  ENV MINE=1", f"/bin/sh -c #(nop) {COPY}"), False),
}


@pytest.mark.parametrize(("steps", "expected"), UNFINISHED.values(), ids=UNFINISHED)
def test_an_image_without_a_name_whose_build_did_not_end_is_ours_by_its_steps(store: Store, steps: tuple[str, ...], expected: bool) -> None:
    """A build that was killed leaves it, and containerd's image store keeps the last but one of each."""
    labels = {"go-service.name": NAME, "go-service.kind": "image"}
    made = store.add([*steps, f"/bin/sh -c #(nop)  LABEL go-service.name={NAME} go-service.kind=image title=x", "FROM base"], labels)
    for name, found in ((NAME, expected), ("other", False)):
        assert images.is_unfinished(store, store.image(made), name) is found
    store.made[made]["RepoTags"] = ["mine:1"]
    assert not images.is_unfinished(store, store.image(made), NAME)
    store.made[made]["RepoTags"] = []
    in_use = store.ours(1)
    assert (made[7:19] in images.prune(store, NAME, 1, in_use, History(NAME, {}))) is expected


@pytest.mark.parametrize("name", ["ap", "apis", "x"])
def test_a_builder_stage_of_a_service_called_alike_is_its_own(store: Store, name: str) -> None:
    store.stage("COPY dir:1 in /src/ ", name=name)
    (image,) = store.images(dangling=True, name=name, kind="builder")
    assert not images.is_our_builder_stage(store, image, NAME)
    assert images.is_our_builder_stage(store, image, name)


def test_of_an_images_tags_those_alone_are_ours_that_the_role_gives(store: Store) -> None:
    made = store.ours(1, *(f"{NAME}:{tag}" for tag in (tag_of(1), "latest", "previous", "mine", tag_of(2))), f"other:{tag_of(1)}")
    found = store.image(made)
    assert found is not None
    assert images.own_references(NAME, found) == sorted(f"{NAME}:{tag}" for tag in (tag_of(1), "latest", "previous"))
    assert images.own_references(NAME, {**found, "RepoTags": None}) == []


@pytest.mark.parametrize("tag", ["latest", "previous", "wanted"])
def test_a_tag_that_a_run_needs_and_somebody_else_has_is_refused(store: Store, tag: str) -> None:
    store.ours(1, f"{NAME}:{tag_of(1)}", f"{NAME}:latest")
    images.refuse_foreign_images(store, NAME, History(NAME), "wanted", "unheard-of")
    foreign = store.add(["FROM scratch"], {}, f"{NAME}:unneeded")
    images.refuse_foreign_images(store, NAME, History(NAME), "wanted")
    store.tag(foreign, NAME, tag)
    with pytest.raises(Failure) as caught:
        images.refuse_foreign_images(store, NAME, History(NAME), "wanted")
    assert f"{NAME}:{tag} is held by an image that this role did not make: id {foreign[7:19]}, made 2026-01-02T00:00:00" in str(
        caught.value
    )
    assert f"docker tag {NAME}:{tag} {NAME}-old:{tag}" in caught.value.remedy
    assert (caught.value.stage, caught.value.still_runs) == ("image", UNTOUCHED)


def test_what_an_earlier_version_built_is_adopted_once(store: Store) -> None:
    made = store.ours(1)
    store.ours(2, after=("ENV A=b",))
    past = History(NAME)
    images.adopt(store, NAME, past)
    assert past.images == {tag_of(1): {"id": made, "proven": True}}
    store.ours(3)
    images.adopt(store, NAME, past)
    assert list(past.images) == [tag_of(1)]
    known = History(NAME, {})
    images.adopt(store, NAME, known)
    assert known.images == {}


def recorded(store: Store, *proven: bool) -> tuple[History, list[str]]:
    """Make images, the oldest first, and return the history that knows them, and their ids."""
    made = [store.ours(number) for number in range(len(proven))]
    return History(NAME, {tag_of(n): {"id": made[n], "proven": good} for n, good in enumerate(proven)}), made


def test_the_newest_proven_image_is_offered_first(store: Store) -> None:
    past, made = recorded(store, True, False, True, True, True)
    assert past.images is not None
    # Its tag was given to another image of ours since.
    store.tag(made[0], NAME, tag_of(3))
    past.images[tag_of(4)]["id"] = ""
    past.images["gone"] = {"id": "sha256:0", "proven": True}
    assert images.returnable(store, NAME, past) == [tag_of(4), tag_of(2), tag_of(0)]


def test_latest_moves_to_the_new_image_and_previous_to_the_one_before(store: Store) -> None:
    past, made = recorded(store, True, True)
    assert images.promote(store, NAME, made[0], past)
    assert store.image(f"{NAME}:previous") is None
    assert not images.promote(store, NAME, made[0], past)
    assert images.promote(store, NAME, made[1], past)
    assert [store.image(f"{NAME}:{tag}")["Id"] for tag in ("latest", "previous")] == [made[1], made[0]]


def moving(store: Store) -> list[str | None]:
    """Return the ids of the images that `latest` and `previous` name."""
    return [(store.image(f"{NAME}:{tag}") or {}).get("Id") for tag in ("latest", "previous")]


def test_each_return_goes_further_back_and_what_came_after_is_before_nothing(store: Store) -> None:
    past, made = recorded(store, True, True, True)
    for image in made:
        assert images.promote(store, NAME, image, past)
    for image, before in ((made[1], made[0]), (made[0], None)):
        assert images.promote(store, NAME, image, past, back=True)
        assert moving(store) == [image, before]
    assert images.promote(store, NAME, made[2], past)
    assert moving(store) == [made[2], made[0]]


def test_an_image_that_is_built_from_the_source_once_more_is_the_newest_again(store: Store) -> None:
    """It is no return: the one that ran until then is before it, and is the next to return to."""
    past, made = recorded(store, True, True, True)
    for image in (*made, made[0]):
        assert images.promote(store, NAME, image, past)
    assert moving(store) == [made[0], made[2]]
    assert not images.promote(store, NAME, made[0], past)
    for image, before in ((made[2], made[1]), (made[1], None)):
        assert images.promote(store, NAME, image, past, back=True)
        assert moving(store) == [image, before]


def test_the_order_in_which_an_earlier_version_served_is_told_by_its_tags(store: Store) -> None:
    past, made = recorded(store, True, True, True)
    store.tag(made[0], NAME, "previous")
    store.tag(made[1], NAME, "latest")
    assert images.promote(store, NAME, made[2], past)
    assert moving(store) == [made[2], made[1]]
    assert images.promote(store, NAME, made[1], past, back=True)
    assert moving(store) == [made[1], made[0]]


@pytest.mark.parametrize("known", [None, {}])
def test_tags_move_to_images_that_no_history_knows(store: Store, known: dict[str, Any] | None) -> None:
    made = [store.ours(number) for number in range(2)]
    assert images.promote(store, NAME, made[0], History(NAME, known))
    assert moving(store) == [made[0], None]
    assert images.promote(store, NAME, made[1], History(NAME, known))
    assert not images.promote(store, NAME, made[1], History(NAME, known))
    assert moving(store) == [made[1], made[0]]


@pytest.mark.parametrize("number", [0, 1])
def test_a_previous_that_a_killed_run_left_behind_is_put_right(store: Store, number: int) -> None:
    """It had moved `latest` alone: what `previous` names is what it was before."""
    past, made = recorded(store, True, True)
    for image in made[: number + 1]:
        images.promote(store, NAME, image, past)
    store.tag(made[number], NAME, "previous")
    assert not images.promote(store, NAME, made[number], past)
    assert (store.image(f"{NAME}:previous") or {}).get("Id") == (made[0] if number else None)


@pytest.mark.parametrize(
    ("keep", "left"), [(1, [4]), (2, [3, 4]), (3, [2, 3, 4]), (4, [1, 2, 3, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_as_many_proven_images_are_kept_as_were_asked_for(store: Store, keep: int, left: list[int]) -> None:
    """The running one is among them, and one that never proved takes no other's place."""
    past, made = recorded(store, True, True, True, True, True, False)
    removed = images.prune(store, NAME, keep, made[4], past)
    assert sorted(store.made) == sorted(made[number] for number in left)
    assert sorted(removed) == sorted(f"{NAME}:{tag_of(number)}" for number in range(6) if number not in left)
    assert sorted(past.images or {}) == sorted(tag_of(number) for number in left)


def test_an_image_that_was_returned_from_is_not_kept_in_place_of_one_that_served(store: Store) -> None:
    """The second was bad, and the first returned to; with the two that came later there is still the first to return to, and not the bad one."""
    past, made = recorded(store, True, True, True, True)
    for image, back in ((made[0], False), (made[1], False), (made[0], True), (made[2], False), (made[3], False)):
        images.promote(store, NAME, image, past, back=back)
    assert images.prune(store, NAME, 3, made[3], past) == [f"{NAME}:{tag_of(1)}"]
    images.promote(store, NAME, made[2], past, back=True)
    assert moving(store) == [made[2], made[0]]


def test_what_is_in_use_or_has_a_moving_tag_or_one_of_somebody_elses_stays(store: Store) -> None:
    past, made = recorded(store, True, True, True, True, True)
    store.tag(made[0], NAME, "previous")
    store.tag(made[4], NAME, "latest")
    store.tag(made[1], NAME, "mine")
    store.used.add(made[2])
    assert images.prune(store, NAME, 1, made[4], past) == [f"{NAME}:{tag_of(3)}", f"{NAME}:{tag_of(1)}"]
    assert store.made[made[1]]["RepoTags"] == [f"{NAME}:mine"]
    assert sorted(store.made) == sorted(made[number] for number in (0, 1, 2, 4))
    # What could not be removed is still known, and goes another time.
    assert sorted(past.images or {}) == sorted(tag_of(number) for number in (0, 2, 4))


def test_the_newest_builder_stage_of_the_service_itself_is_the_one_that_is_read(store: Store) -> None:
    """Where BuildKit builds there is none."""
    assert images.builder_stage(store, NAME) is None
    stages = [store.stage(f"COPY dir:{number} in /src/ ") for number in range(2)]
    store.stage("RUN touch x", "COPY dir:9 in /src/ ")
    found = images.builder_stage(store, NAME)
    assert found and found["Id"] == stages[1]


def test_images_without_a_name_go_and_of_builder_stages_the_newest_stays(store: Store) -> None:
    past, made = recorded(store, True)
    running, lost, foreign = store.ours(7), store.ours(8), store.ours(9, after=("ENV A=b",))
    for identity in (running, lost, foreign):
        store.made[identity]["RepoTags"] = []
    stages = [store.stage(f"COPY dir:{number} in /src/ ") for number in range(3)]
    strange = store.stage("RUN touch x", "COPY dir:9 in /src/ ")
    assert images.prune(store, NAME, 2, running, past) == [stages[1][7:19], stages[0][7:19], lost[7:19]]
    assert sorted(store.made) == sorted([made[0], running, foreign, stages[2], strange])
    assert list(past.images or {}) == [tag_of(0)]


def test_of_builder_stages_the_newest_of_each_architecture_stays(store: Store) -> None:
    """Each has what was compiled for the one alone."""
    stages = [store.stage(f"COPY dir:{number} in /src/ ") for number in range(4)]
    for stage in stages[1:3]:
        store.made[stage]["env"] = ["PATH=/bin", "GOARCH=arm64"]
    running = store.ours(7)
    assert [images.builder_stage(store, NAME, goarch)["Id"] for goarch in ("", "arm64")] == [stages[3], stages[2]]
    assert images.builder_stage(store, NAME, "riscv64") is None
    images.prune(store, NAME, 2, running, History(NAME, {}))
    assert sorted(store.made) == sorted([running, stages[2], stages[3]])


def test_the_newest_image_for_another_platform_stays_beside_those_that_are_kept(store: Store) -> None:
    """It takes no other's place, and goes when a newer one is there; the host's own images do not go with it."""
    past, made = recorded(store, True, True, False, False, False)
    for number in (2, 3):
        past.images[tag_of(number)]["platform"] = "linux/arm64"
    store.tag(made[3], NAME, images.latest_for("linux/arm64"))
    assert images.prune(store, NAME, 2, made[3], past, platform="linux/arm64") == [f"{NAME}:{tag_of(2)}"]
    assert images.prune(store, NAME, 2, made[1], past) == [f"{NAME}:{tag_of(4)}"]
    assert sorted(store.made) == sorted([made[0], made[1], made[3]])
    assert images.own_references(NAME, store.image(made[3])) == sorted([f"{NAME}:{tag_of(3)}", f"{NAME}:latest-arm64"])
