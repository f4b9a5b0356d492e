#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: build
short_description: Build an image with the chosen builder
description:
  - Runs M(community.docker.docker_image) or M(community.docker.docker_image_build) on the host, measures how long that takes there, and reads its log.
  - A failed build says which step failed, what it printed, and what to do.
  - C(environment), C(become) and C(delegate_to) of the task apply to the builder's module.
attributes:
  check_mode: {support: full, description: As the builder's module; nothing is built.}
  diff_mode: {support: none, description: M(proven.go_service.prepare) shows the reasons for a build.}
  idempotent: {support: full, description: A tag that is there is not built again.}
options:
  builder:
    description: V(docker_image), the Engine's classic builder; V(buildx), BuildKit.
    type: str
    required: true
  tag:
    description: Tag of the image; its repository has the name of the service.
    type: str
    required: true
  context:
    description: Directory of the build context on the host, with the Dockerfile in it.
    type: str
    required: true
  dockerfile:
    description:
      - Content of the Dockerfile in O(context), as M(proven.go_service.prepare) returns it. On a terminal, the callback P(proven.go_service.progress#callback) shows which of its
        steps is running.
    type: str
    default: ""
  changes:
    description:
      - Directory of a build context with only what changed since the last build, as M(proven.go_service.prepare) returns it; it is built instead of O(context).
      - If the build finds that the source in the build stage is not the one that was recorded, O(context) is built after all.
    type: str
    default: ""
  connection:
    description: Options with which the builder's module uses the Engine, as M(proven.go_service.engine_info) returns them.
    type: dict
    default: {}
  project:
    description: The Go facts of the source, as M(proven.go_service.prepare) returns them; they explain a failure better than the builder does.
    type: dict
    default: {}
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them, with name, network, timeout and the credentials of private modules.
    type: dict
    required: true
  builder_image:
    description: The image in which the service is compiled, with the name that it has on the host.
    type: str
    required: true
  standing:
    description: What the next build has to have in common with this one to go on from its builder stage, as M(proven.go_service.prepare) returns it.
    type: dict
    default: {}
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Build the image under its content digest
  proven.go_service.build:
    builder: docker_image
    tag: 3f2a91c07b6e
    context: /var/lib/go-service/cat-server/context
    settings: "{{ __go_service_record.settings }}"
    builder_image: golang:1.27-alpine3.24
"""

RETURN = r"""
build:
  description: How the build went; empty in check mode.
  type: dict
  returned: success
  contains:
    seconds: {description: How long it took., type: float}
    cached: {description: Whether it used the cache of an earlier build., type: bool}
    steps: {description: "The steps of the classic builder, each with C(instruction) and C(cached).", type: list, elements: dict}
stage:
  description: The option C(standing) with the C(id) of the build's builder stage; the C(id) is empty where the builder keeps none.
  type: dict
  returned: success
image_id:
  description: Id of the image.
  type: str
  returned: success
failure:
  description: Why the build failed.
  type: dict
  returned: failure
"""
