"""Logs of builds."""

from __future__ import annotations

from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import docker_image

CLASSIC = """Step 1/4 : FROM golang:1.27-alpine3.24 AS build
 ---> 9bb7d82aa6a9
Step 2/4 : LABEL go-service.kind="builder"
 ---> Using cache
 ---> 5f0c2b6f7a51
Step 3/4 : RUN go build fmt
{cached} ---> 1c2d3e4f5a6b
Step 4/4 : COPY . /src/
 ---> 7a6b5c4d3e2f
Successfully built 7a6b5c4d3e2f
"""


BUILDKIT = """#5 [build 1/4] FROM docker.io/library/golang:1.27-alpine3.24
#5 DONE 0.0s
#6 [build 2/4] RUN go build fmt
{cached}
#7 [build 3/4] RUN go build -ldflags="-w -s" -o /out/cat-server .
#7 0.512 # example.com/cat-server
#7 0.513 ./main.go:12:2: undefined: foo
#7 ERROR: process "/bin/sh -c go build -ldflags=\\"-w -s\\" -o /out/cat-server ." did not complete successfully: exit code: 1
------
 > [build 3/4] RUN go build -ldflags="-w -s" -o /out/cat-server .:
0.513 ./main.go:12:2: undefined: foo
------
ERROR: failed to solve: process "/bin/sh -c go build" did not complete successfully: exit code: 1
"""


def failed(*lines: str) -> str:
    """Return the message of docker_image for a step that printed lines."""
    log = [
        "Step 1/2 : FROM golang:1.27",
        "",
        " ---> 9bb7d82aa6a9",
        "Step 2/2 : RUN go build .",
        "",
        " ---> Running in 0c1d2e3f4a5b",
        *lines,
    ]
    return f"Error building api - code: 1, message: The command '/bin/sh -c go build .' returned a non-zero code: 1, logs: {log!r}"


def classic(message: str) -> Failure:
    """Return the failure of a build by docker_image that ended with a message."""
    return docker_image.failure({"failed": True, "msg": message})
