"""docs/failures.md tells what is tested: each row of a fault has a test that causes it, and here is which one."""

from __future__ import annotations

import ast
import re

import pytest
from plays import PROJECT

PAGE = (PROJECT / "docs/failures.md").read_text(encoding="utf-8")
BEFORE_WHAT_A_CLIENT_NOTICES = PAGE.partition("\n## What a client notices")[0]
ROWS = [row for row in re.findall(r"^\| (.+?) \| ", BEFORE_WHAT_A_CLIENT_NOTICES, re.M) if row not in ("fault", "---")]

LIFECYCLE = "molecule/lifecycle/tests/test_"
UNIT = "tests/unit/module_utils/"
DEPLOY = "tests/unit/modules/test_deploy.py::test_"
FAILURES = "tests/unit/runs/test_failures.py::test_a_failure_of_each_stage_says_what_happened_what_still_runs_and_what_to_do"
OWNERSHIP = "tests/unit/runs/test_ownership.py::test_"
ENGINES = "tests/unit/runs/test_other_engines.py::test_"
LOG = "tests/unit/plugin_utils/test_build_log.py::test_"
CRASH = "tests/unit/runs/test_crash.py::test_whatever_goes_wrong_the_service_answers_and_the_next_run_finds_nothing_in_its_way"
KILLED = "tests/unit/runs/test_crash.py::test_wherever_a_swap_on_a_real_engine_is_killed_the_next_run_finishes_or_undoes_it"

# How a row begins -> the tests that cause its fault.
TESTED = {
    # Before anything is built
    "a variable is wrong": ("tests/unit/runs/test_input.py::test_a_playbook_tells_all_problems_at_once_a_line_each",),
    "the report's directory cannot be written": ("tests/unit/action/test_report.py::test_directory_that_cannot_be_made", FAILURES),
    "a host port is taken": (
        "tests/unit/modules/test_prepare.py::test_a_look_at_a_service_that_is_to_be_placed_sees_a_taken_port",
        "tests/test_abilities.py::test_a_further_port_that_is_taken",
    ),
    "no Engine answers, and the docker command": ("tests/test_docker_engine.py::test_nothing_is_installed_over_another_package",),
    "no Engine answers, and its `daemon.json`": (
        "tests/test_docker_engine.py::test_settings_that_no_daemon_can_read_are_told_in_its_own_words",
        "tests/test_docker_engine.py::test_settings_that_the_daemon_refuses_are_told_in_its_own_words",
    ),
    "the distribution is not supported": ("tests/test_docker_engine.py::test_a_distribution_that_is_not_supported",),
    "the locks of apt are held": ("tests/test_docker_engine.py::test_locks_of_apt_are_waited_for_and_their_holder_is_named",),
    "with secret values one user": ("tests/unit/runs/test_become.py::test_secrets_and_temporary_files",),
    "a network or a directory that is asked for": (FAILURES, f"{ENGINES}what_is_mounted_is_looked_for_where_the_engine_is"),
    "a base image is not on the host": (f"{LIFECYCLE}3_builds.py::test_base_image_missing",),
    "a base image cannot be pulled": (f"{LIFECYCLE}3_builds.py::test_base_image_cannot_be_pulled",),
    "… nor put together": ("tests/unit/roles/test_base_images.py::test_without_a_package_index_the_three_ways_out_are_named",),
    "what was put together": ("tests/unit/modules/test_base_archive.py::test_what_differs_from_the_package_database_is_never_loaded",),
    "the source is larger than": (f"{LIFECYCLE}3_builds.py::test_huge_context",),
    "`//go:embed` embeds nothing": (
        f"{UNIT}source/test_facts.py::test_what_is_embedded_and_not_there_is_refused_before_anything_is_downloaded",
    ),
    "a symbolic link leaves the source": (f"{LIFECYCLE}3_builds.py::test_link_out_of_the_context",),
    "what `go_service_files` asks for": (
        f"{UNIT}source/test_beside.py::test_what_cannot_be_beside_the_binary_is_named",
        f"{UNIT}source/test_beside.py::test_places_that_are_refused",
    ),
    "the service's name, or one a run needs": (f"{LIFECYCLE}2_candidates.py::test_foreign_container",),
    "`latest`, `previous` or the tag of the build": (
        f"{OWNERSHIP}a_tag_that_somebody_else_has_is_refused_before_anything_is_touched",
        f"{OWNERSHIP}the_tag_of_the_build_itself_is_refused_where_somebody_else_has_it",
    ),
    "a directory of the service's name exists": (f"{OWNERSHIP}a_directory_that_the_role_did_not_make_is_refused_and_stays",),
    "the service's directory belongs to another user": (f"{OWNERSHIP}a_directory_in_which_others_could_plant_links_is_refused",),
    "another run, of any user of the Engine": (
        f"{UNIT}deploy/test_lock.py::test_two_users_of_one_engine_wait_for_each_other",
        "tests/unit/plugin_utils/test_turn.py::test_a_run_that_does_not_end_is_waited_for_and_then_named",
    ),
    "two names of the inventory": (
        "tests/unit/plugin_utils/test_turn.py::test_one_machine_under_two_names_of_an_inventory_is_refused_at_once",
    ),
    # The build
    "the code does not compile": (f"{LIFECYCLE}3_builds.py::test_compile_error",),
    'what is missing is in a file that imports `"C"`': (
        f"{LOG}a_failure_of_the_sources_own_module_names_what_is_missing",
        f"{LOG}a_failed_build_says_what_to_do",
    ),
    "a package of the source's own module": (f"{LOG}a_failure_of_the_sources_own_module_names_what_is_missing",),
    "a module needs a newer Go": (f"{LOG}a_failed_build_says_what_to_do", f"{LOG}words_that_look_alike_are_told_apart"),
    "a module is private": (
        f"{LOG}a_failed_build_says_what_to_do",
        f"{LOG}a_host_that_refuses_a_credential_is_told_from_one_that_got_none",
    ),
    "a private module is asked of the public proxy": (f"{LOG}a_failed_build_says_what_to_do",),
    "a server's certificate is of an authority": (f"{LOG}a_failed_build_says_what_to_do", "tests/test_company.py::test_a_companys_proxies"),
    "`apk` does not reach": (f"{LOG}words_that_look_alike_are_told_apart",),
    "`apk` knows no such": (f"{LOG}words_that_look_alike_are_told_apart",),
    "there is no such network, system or processor": (f"{LOG}words_that_look_alike_are_told_apart",),
    "an image for another platform": (
        "tests/test_cross_build.py::test_what_cannot_be_made_without_emulation_is_told_before_anything_starts",
        "tests/test_cross_fleet.py::test_a_base_image_that_cannot_be_had_is_told_before_anything_starts",
    ),
    "docker buildx uses a builder": (f"{UNIT}engine/test_builder.py::test_a_builder_with_a_store_of_its_own_is_refused_before_it_builds",),
    "a test fails": (f"{LIFECYCLE}3_builds.py::test_failing_test",),
    "the Engine's disk is full": (f"{LIFECYCLE}3_builds.py::test_disk_full",),
    "the run is killed": (f"{LIFECYCLE}4_interruptions.py::test_killed_during_the_build",),
    "somebody wrote into the staged context": (f"{LIFECYCLE}1_deploys.py::test_image_and_context_changed_by_hand",),
    "secrets beside the source": (f"{LIFECYCLE}3_builds.py::test_secrets_stay_out",),
    # The candidate and the contract
    "it exits at once": (f"{LIFECYCLE}2_candidates.py::test_candidate",),
    "it hangs before it listens": (f"{LIFECYCLE}2_candidates.py::test_candidate",),
    "it listens on another port": (f"{UNIT}deploy/test_listening.py::test_where_a_service_listens_is_measured",),
    "it speaks TLS": (
        f"{UNIT}deploy/test_listening.py::test_where_a_service_listens_is_measured",
        "tests/test_abilities.py::test_health_by_plain_http_where_the_service_speaks_tls",
    ),
    "it needs what the running container has open": (f"{DEPLOY}a_service_that_locks_its_data_is_told_of_recreate_and_updated_by_it",),
    "`go_service_network` is `host`": (f"{DEPLOY}on_the_hosts_network_nothing_is_proven_by_the_answers_of_another",),
    "`go_service_env` or the image names a proxy": (f"{DEPLOY}the_health_check_asks_no_proxy",),
    "the Engine cannot hold a limit": (f"{ENGINES}limits_that_the_engine_cannot_hold",),
    "the Engine's machine has AppArmor": (f"{UNIT}deploy/test_remedies.py::test_what_comes_from_the_engine",),
    "nothing listens on a further port": (f"{DEPLOY}a_further_port_that_nothing_listens_on_is_a_warning",),
    "the Engine refuses what a variable asks for": (f"{UNIT}deploy/test_remedies.py::test_what_the_engine_refuses_names_the_variable",),
    "it has no page where the health check asks": (
        f"{UNIT}deploy/test_pages.py::test_a_candidate_without_the_page_is_told_the_one_that_it_has",
    ),
    "the page of its health check redirects": (f"{UNIT}deploy/test_remedies.py::test_a_remedy_for_the_last_words",),
    "it answers 500": (f"{LIFECYCLE}2_candidates.py::test_candidate",),
    "its limit of processes": (f"{UNIT}deploy/test_limits.py::test_a_limit_of_processes_that_is_too_small_is_named",),
    "it is killed by its memory limit": (
        f"{LIFECYCLE}2_candidates.py::test_candidate",
        f"{UNIT}deploy/test_signals.py::test_an_end_by_a_signal_names_who_sent_it_as_far_as_that_is_known",
    ),
    "it writes to its own file system": (f"{LIFECYCLE}2_candidates.py::test_candidate",),
    "it listens on its own loopback": (f"{LIFECYCLE}2_candidates.py::test_candidate",),
    "it breaks the contract": ("molecule/contract/tests/test_contract.py::test_violation",),
    "the Engine's daemon is restarted meanwhile": (
        f"{LIFECYCLE}4_interruptions.py::test_engine_restarted_while_the_candidate_is_waited_for",
    ),
    # The swap
    "the host port is taken": (f"{LIFECYCLE}2_candidates.py::test_host_port_taken",),
    "the new container fails in the service's place": (
        f"{LIFECYCLE}2_candidates.py::test_broken_after_the_swap",
        f"{LIFECYCLE}2_candidates.py::test_unhealthy_after_the_swap",
        f"{UNIT}deploy/test_swap.py::test_a_swap_that_fails_brings_the_very_same_container_back",
    ),
    "the candidate, which runs on beside": (
        f"{DEPLOY}a_candidate_that_ends_while_the_new_container_proves_itself_brings_the_old_one_back",
    ),
    "the old container keeps ending": (
        f"{DEPLOY}a_container_in_any_state_is_replaced",
        f"{DEPLOY}a_container_in_any_state_comes_back_where_the_new_one_fails",
    ),
    "Ctrl-C, `kill` or the end of a session": (f"{DEPLOY}a_signal_ends_a_deploy_before_its_swap_or_after_it", CRASH),
    "with `go_service_deploy_strategy: recreate`": (
        f"{DEPLOY}with_recreate_the_very_same_old_container_comes_back",
        f"{DEPLOY}with_recreate_an_image_that_breaks_the_contract_stops_nothing",
    ),
    "the old one does not come back either": (f"{LIFECYCLE}2_candidates.py::test_neither_comes_back",),
    "killed after the old container was set aside": (
        f"{LIFECYCLE}4_interruptions.py::test_killed_with_the_old_container_set_aside",
        f"{LIFECYCLE}4_interruptions.py::test_killed_and_the_new_version_withdrawn",
        KILLED,
    ),
    "the Engine refuses a call": (CRASH,),
    "killed while `latest` and `previous` move": (
        f"{UNIT}deploy/test_images.py::test_a_previous_that_a_killed_run_left_behind_is_put_right",
        CRASH,
    ),
    "killed while the new container is waited for": (
        f"{LIFECYCLE}4_interruptions.py::test_killed_while_waiting_for_the_new_container",
        KILLED,
    ),
    "only the controller dies": (f"{LIFECYCLE}4_interruptions.py::test_killed_controller_alone",),
    "two runs at once": (f"{LIFECYCLE}4_interruptions.py::test_two_runs_at_once",),
    # Later
    "the running container became unhealthy": (f"{LIFECYCLE}1_deploys.py::test_unhealthy_container_is_replaced",),
    "… and the Engine does not notice": (f"{LIFECYCLE}4_interruptions.py::test_unhealthy_when_the_engine_no_longer_asks",),
    "it ended, and the Engine started it again": (f"{OWNERSHIP}a_container_that_the_engine_restarted_is_proven_again_and_stays",),
    "somebody renamed the container": (f"{DEPLOY}a_container_that_was_renamed_by_hand_is_left_alone",),
    "somebody removed the container": (f"{LIFECYCLE}1_deploys.py::test_container_removed_by_hand",),
    "somebody removed the image": (f"{LIFECYCLE}1_deploys.py::test_image_and_context_changed_by_hand",),
    "the new version is bad": (f"{LIFECYCLE}1_deploys.py::test_rollback_to_previous", f"{DEPLOY}each_rollback_goes_further_back"),
    "… and came with another port": (f"{DEPLOY}a_rollback_goes_by_what_the_image_was_built_with",),
    "no earlier image was in service": (
        f"{DEPLOY}each_rollback_goes_further_back",
        f"{LIFECYCLE}1_deploys.py::test_rollback_to_named_image",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test(row: str) -> None:
    assert len([beginning for beginning in TESTED if row.startswith(beginning)]) == 1, f"which test causes it? {row}"


def test_what_is_said_to_be_tested_is_told() -> None:
    assert [beginning for beginning in TESTED if not any(row.startswith(beginning) for row in ROWS)] == []


@pytest.mark.parametrize("tests", TESTED.values(), ids=TESTED)
def test_the_tests_are_there(tests: tuple[str, ...]) -> None:
    for named in tests:
        file, _colons, name = named.partition("::")
        functions = [
            node.name for node in ast.parse((PROJECT / file).read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
        ]
        assert name in functions, f"{file} has no {name}"


def test_the_page_leads_here() -> None:
    assert "](../tests/unit/project/test_failures.py)" in PAGE
