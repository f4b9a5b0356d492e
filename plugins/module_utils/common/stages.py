"""The stages of a run, with the names that a failure contains. At each of them a run can end."""

from __future__ import annotations

INPUT = "input"  # the role's variables
SOURCE = "source"  # reading the source: on the controller, on the host, or from git
ENGINE = "engine"  # the Engine of the host answers
LOOK = "look"  # comparing what is on the host with what should be
BASE = "base image"  # what the image is built from is on the host
IMAGE = "image"  # an image that was asked for is on the host, and the tags that the service needs are not held by somebody else's
CONTAINER = "container"  # the names that the service needs are not held by somebody else's containers
DIRECTORY = "directory"  # the service's directory on the host is the role's, and nobody else can write to it
NETWORK = "network"
VOLUMES = "volumes"
LOCK = "lock"  # one run at a time works on a service
RECOVERY = "recovery"  # what a killed run left behind is finished or undone
STAGE = "stage"  # bringing the source to the host
BUILD = "build"
TRANSFER = "transfer"  # an image goes to another host, or to a registry
CANDIDATE = "candidate"
CONTRACT = "contract"
PORT = "port"
SWAP = "swap"
ROLLBACK = "rollback"  # bringing the old container back
TAGS = "tags"  # moving latest and previous, and removing old images
REMOVE = "remove"
REPORT = "report"
ROLE = "role"  # the tasks between the stages

STAGES = (
    INPUT,
    SOURCE,
    ENGINE,
    LOOK,
    BASE,
    IMAGE,
    CONTAINER,
    DIRECTORY,
    NETWORK,
    VOLUMES,
    LOCK,
    RECOVERY,
    STAGE,
    BUILD,
    TRANSFER,
    CANDIDATE,
    CONTRACT,
    PORT,
    SWAP,
    ROLLBACK,
    TAGS,
    REMOVE,
    REPORT,
    ROLE,
)
