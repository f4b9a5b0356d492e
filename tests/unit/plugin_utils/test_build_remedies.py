"""What a failed build is told by words that tell apart what looks alike: an address, a name, a network, a processor, a version of Go."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.build_log import explain

DNS_2 = (
    "fetch https://dl-cdn.alpinelinux.org/alpine/v3.20/main/x86_64/APKINDEX.tar.gz\n"
    "WARNING: fetching https://dl-cdn.alpinelinux.org/alpine/v3.20/main: temporary error (try again later)\n"
    "ERROR: unable to select packages:\n  tzdata (no such package):\n    required by: world[tzdata]"
)
DNS_3 = (
    "WARNING: updating and opening https://dl-cdn.alpinelinux.org/alpine/v3.24/main/x86_64/APKINDEX.tar.gz: DNS: name does not exist\n"
    "4 unavailable, 0 stale; 17 distinct packages available\n"
    "ERROR: unable to select packages:\n  tzdata (no such package):\n    required by: world[tzdata]"
)
REMEDIES = {
    DNS_2: "apk does not reach",
    DNS_3: "apk does not reach",
    "ERROR: tzdata-2025b-r0: package mentioned in index not found (try 'apk update')": "apk does not reach",
    "ERROR: curl-8.1-r0: TLS: server certificate not trusted": "apk does not reach",
    "ERROR: unable to select packages:\n  curl-8.17.0-r1:\n    breaks: world[curl=8.1.0-r0]": "names and versions in go_service_packages",
    "ERROR: 'cu rl' is not a valid world dependency, format is name(@tag)([<>~=]version)": "names and versions in go_service_packages",
    "ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied": "go_service_runtime_image that works as root",
    "adduser: /etc/passwd: Permission denied": "go_service_runtime_image that works as root",
    "Error building app - code: None, message: network nonet not found": "The Engine has no network nonet. Set go_service_build_network",
    "go: unsupported GOOS/GOARCH pair linux/z80": "Leave GOOS and GOARCH out of go_service_build_env",
    "go: example.org/y@v1.0.0: module lookup disabled by GOPROXY=off": "cannot download modules",
    "go: module ./dep requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)": "./dep, on which the source depends, needs Go 1.99",
    "go: example.org/dep@v1.2.3 requires go >= 1.30 (running go 1.27.3)": "example.org/dep@v1.2.3, on which the source depends, needs Go 1.30",
    "go: go.work requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)": "The module needs a newer Go",
}


@pytest.mark.parametrize(("printed", "remedy"), REMEDIES.items())
def test_words_that_look_alike_are_told_apart(printed: str, remedy: str) -> None:
    assert remedy in explain("", "RUN x", printed.splitlines()).remedy


def test_lines_with_nothing_on_them_are_left_out() -> None:
    assert explain("", "RUN x", ["a", "", " ", "", "b"]).evidence == ["a", "b"]
