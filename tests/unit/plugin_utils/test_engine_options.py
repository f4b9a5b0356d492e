"""What a daemon is asked for: what is refused, and what becomes of its settings."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.text import without_passwords
from ansible_collections.proven.go_service.plugins.plugin_utils.engine_options import (
    Outcome,
    environment,
    merged,
    outcome,
    problems,
    proxies_missing,
)

NOTHING: dict[str, Any] = {
    "log_max_size": "",
    "log_max_file": None,
    "live_restore": None,
    "registry_mirrors": [],
    "insecure_registries": [],
    "proxies": {},
    "daemon_options": {},
}
REFUSED = {
    "a size that is none": ({"log_max_size": "much"}, "docker_engine_log_max_size is 'much'"),
    "a size with a line after it": ({"log_max_size": "10m\n"}, "docker_engine_log_max_size"),
    "no file at all": ({"log_max_file": -1}, "docker_engine_log_max_file is -1"),
    "too many files": ({"log_max_file": 1001}, "1 to 1000"),
    "a mirror without a scheme": ({"registry_mirrors": ["mirror.example.com"]}, "give http:// or https://"),
    "a mirror with a query": ({"registry_mirrors": ["https://mirror.example.com/hub?x=1"]}, "no user and no query"),
    "a mirror with a fragment": ({"registry_mirrors": ["https://mirror.example.com/#hub"]}, "no user and no query"),
    "a mirror with a user": ({"registry_mirrors": ["https://me:secret@mirror.example.com"]}, "//***@mirror.example.com"),
    "a mirror with a port that cannot be": ({"registry_mirrors": ["https://mirror:65536"]}, "give http:// or https://"),
    "a registry with a port that cannot be": ({"insecure_registries": ["host:99999"]}, "give host, host:port or a network"),
    "a registry of IPv6 with a port that cannot be": ({"insecure_registries": ["[::1]:0"]}, "give host, host:port or a network"),
    "a network that cannot be": ({"insecure_registries": ["999.0.0.0/8"]}, "give host, host:port or a network"),
    "a mask that cannot be": ({"insecure_registries": ["10.0.0.0/99"]}, "give host, host:port or a network"),
    "a registry that cannot be among the options": (
        {"daemon_options": {"insecure-registries": ["host:99999"]}},
        "docker_engine_daemon_options.insecure-registries holds 'host:99999'",
    ),
    "a registry with a scheme": ({"insecure_registries": ["http://registry:5000"]}, "give host, host:port or a network"),
    "a proxy that nobody knows": ({"proxies": {"ftp_proxy": "http://p:1"}}, "only http_proxy, https_proxy, no_proxy are allowed"),
    "a proxy without a scheme": ({"proxies": {"http_proxy": "proxy:3128"}}, "docker_engine_proxies.http_proxy is not an address"),
    "a proxy with a line after it": ({"proxies": {"https_proxy": "http://proxy:3128\nX=1"}}, "docker_engine_proxies.https_proxy"),
    "a proxy with a port that cannot be": (
        {"proxies": {"http_proxy": "http://u:x@proxy:notaport"}},
        "docker_engine_proxies.http_proxy is not",
    ),
    "a text in place of registries": (
        {"daemon_options": {"insecure-registries": "reg:5000"}},
        "docker_engine_daemon_options.insecure-registries is not a list",
    ),
    "not a list of hosts": ({"proxies": {"no_proxy": "a b"}}, "docker_engine_proxies.no_proxy"),
    "two that say the same": ({"live_restore": False, "daemon_options": {"live-restore": True}}, "both set live-restore"),
    "two that say the same of logs": (
        {"log_max_size": "1m", "daemon_options": {"log-opts": {"max-size": "2m"}}},
        "both set log-opts.max-size",
    ),
}


@pytest.mark.parametrize(("given", "told"), REFUSED.values(), ids=REFUSED)
def test_what_no_daemon_could_take_is_refused(given: dict[str, Any], told: str) -> None:
    found = problems({**NOTHING, **given})
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    "registry", ["host", "host:5000", "[::1]:5000", "[::1]", "10.0.0.0/8", "10.1.2.3/8", "fd00::/8", "127.0.0.1:65535"]
)
def test_what_a_daemon_takes_as_a_registry(registry: str) -> None:
    assert problems({**NOTHING, "insecure_registries": [registry]}) == []


def test_a_new_password_is_a_change_where_the_old_one_is_known() -> None:
    asked = {**NOTHING, "daemon_options": {"proxies": {"https-proxy": "http://me:new@proxy:3128"}}}
    for current, changed in (
        ("http://***@proxy:3128", []),
        ("http://me:old@proxy:3128", ["proxies"]),
        ("http://***@other:3128", ["proxies"]),
    ):
        assert outcome({"proxies": {"https-proxy": current}}, asked, bring_up=False).changed == changed


@pytest.mark.parametrize(
    ("old", "new"),
    [({"splunk-url": "https://u:old@s"}, {"splunk-url": "https://u:new@s"}), ({"splunk-token": "old"}, {"splunk-token": "new"})],
)
def test_a_new_secret_is_a_change_wherever_it_is(old: dict[str, str], new: dict[str, str]) -> None:
    current = {"log-driver": "splunk", "log-opts": old}
    asked = {**NOTHING, "daemon_options": {"log-opts": new}}
    assert outcome(current, asked, bring_up=False).changed == ["log-opts"]
    assert outcome(without_passwords(current), asked, bring_up=False).changed == []
    assert "old" not in str(without_passwords(current))


def test_no_password_is_shown() -> None:
    given = {
        "registry_mirrors": ["https://me:secret@mirror"],
        "insecure_registries": ["http://me:secret@registry"],
        "proxies": {"http_proxy": "ftp://me:secret@proxy"},
    }
    found = problems({**NOTHING, **given})
    assert len(found) == 3
    assert "secret" not in " ".join(found)


def test_what_a_daemon_can_take_is_taken() -> None:
    given = {
        "log_max_size": "50m",
        "log_max_file": 5,
        "live_restore": False,
        "registry_mirrors": ["https://mirror.example.com", "http://10.0.0.1:5000/", "https://mirror.example.com:8443/proxy/docker.io/"],
        "insecure_registries": ["registry:5000", "10.0.0.0/8", "fd00::/8", "[::1]:5000"],
        "proxies": {
            "http_proxy": "http://me:%41b@proxy:3128",
            "https_proxy": "socks5://proxy:1080",
            "no_proxy": "localhost,.example.com,10.0.0.0/8,*",
        },
        "daemon_options": {"log-opts": {"compress": "true"}},
    }
    assert problems(given) == []


def test_a_daemon_that_is_brought_up_gets_the_roles_own_settings() -> None:
    found = outcome({}, NOTHING, bring_up=True)
    assert found.settings == {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}
    assert outcome(found.settings, NOTHING, bring_up=True) == Outcome(found.settings, [], True, "")


def test_a_daemon_that_runs_gets_nothing_that_was_not_asked_for() -> None:
    assert outcome({}, NOTHING, bring_up=False) == Outcome({}, [], True, "")


@pytest.mark.parametrize("bring_up", [True, False])
def test_what_others_have_written_stays(bring_up: bool) -> None:
    others = {
        "live-restore": False,
        "log-driver": "json-file",
        "log-opts": {"max-size": "1g", "labels": "team"},
        "registry-mirrors": ["https://theirs"],
        "bip": "10.9.0.1/24",
    }
    found = outcome(others, {**NOTHING, "registry_mirrors": ["https://ours", "https://theirs"], "log_max_file": 7}, bring_up)
    assert found.settings == {
        **others,
        "registry-mirrors": ["https://theirs", "https://ours"],
        "log-opts": {"max-size": "1g", "labels": "team", "max-file": "7"},
    }
    assert found.changed == ["log-opts", "registry-mirrors"]


def test_another_driver_of_logs_keeps_its_options() -> None:
    assert outcome({"log-driver": "journald"}, NOTHING, bring_up=True).settings == {"log-driver": "journald", "live-restore": True}
    assert "chooses 'journald'" in outcome({"log-driver": "journald"}, {**NOTHING, "log_max_size": "1m"}, bring_up=True).problem
    assert outcome({"log-driver": "local"}, {**NOTHING, "log_max_size": "1m"}, bring_up=True).settings["log-opts"] == {"max-size": "1m"}


@pytest.mark.parametrize("driver", ["journald", "splunk", "none"])
def test_another_driver_of_logs_leaves_the_options_of_rotation_behind(driver: str) -> None:
    """Those of the role, and those that others have set for the driver of before; what is given for the new one stays."""
    brought_up = outcome({}, NOTHING, bring_up=True).settings
    found = outcome(brought_up, {**NOTHING, "daemon_options": {"log-driver": driver}}, bring_up=False)
    assert found == Outcome({"live-restore": True, "log-driver": driver}, ["log-driver", "log-opts"], False, "")
    current = {"log-driver": "local", "log-opts": {"max-size": "1g", "compress": "true", "labels": "team"}}
    asked = {**NOTHING, "daemon_options": {"log-driver": driver, "log-opts": {"max-file": "2"}}}
    assert outcome(current, asked, bring_up=False).settings["log-opts"] == {"labels": "team", "max-file": "2"}


def test_a_setting_is_taken_away_by_none() -> None:
    current = {"log-driver": "splunk", "log-opts": {"splunk-token": "t", "labels": "a"}, "bip": "10.9.0.1/24"}
    asked = {**NOTHING, "daemon_options": {"bip": None, "dns": None, "log-driver": "journald", "log-opts": {"splunk-token": None}}}
    found = outcome(current, asked, bring_up=False)
    assert found.settings == {"log-driver": "journald", "log-opts": {"labels": "a"}}
    assert found.changed == ["bip", "log-driver", "log-opts"]
    assert merged({}, {"a": {"b": None, "c": 1}}) == {"a": {"c": 1}}


@pytest.mark.parametrize(
    ("given", "reload"),
    [
        ({"registry_mirrors": ["https://m"]}, True),
        ({"insecure_registries": ["r:5000"], "live_restore": False}, True),
        ({"log_max_size": "1m"}, False),
        ({"registry_mirrors": ["https://m"], "daemon_options": {"bip": "10.9.0.1/24"}}, False),
    ],
)
def test_a_daemon_takes_some_settings_over_while_it_runs(given: dict[str, Any], reload: bool) -> None:
    assert outcome({}, {**NOTHING, **given}, bring_up=False).reload is reload


def test_settings_are_merged_key_by_key_and_lists_are_replaced() -> None:
    assert merged({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 1}}) == {"a": {"b": 1, "c": [2]}, "d": {"e": 1}}


def test_proxies_are_compared_without_passwords() -> None:
    asked = {"http_proxy": "http://me:secret@proxy:3128", "https_proxy": "", "no_proxy": "localhost"}
    assert proxies_missing(asked, {"http_proxy": "http://xxxxx:xxxxx@proxy:3128", "no_proxy": "localhost"}) == []
    assert proxies_missing(asked, {"http_proxy": "http://proxy:3128", "no_proxy": "localhost"}) == []
    assert proxies_missing(asked, {"http_proxy": "http://proxy:3129"}) == ["http_proxy", "no_proxy"]


def test_the_environment_of_a_daemon_is_in_capitals() -> None:
    assert environment({"http_proxy": "http://p:1", "https_proxy": "", "no_proxy": "a,b"}) == {
        "HTTP_PROXY": "http://p:1",
        "NO_PROXY": "a,b",
    }
