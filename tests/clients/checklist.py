"""What clients need of a gateway, point by point (the numbered checklist that came of recording eight releases).

Each point names the tests that would fail without it, as `file::test`; `matrix:` names a scenario of this folder, which
real clients play. `test_checklist.py` holds that every named test exists.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One demand and what shows that it is met."""

    demand: str
    tests: tuple[str, ...]


GATEWAY = "tests/integration/gateway"
BAD_INPUT = f"{GATEWAY}/test_bad_input.py"
READS = f"{GATEWAY}/reads/test_answers.py"
RECORDED = f"{GATEWAY}/reads/test_client_operations.py::test_a_recorded_query_is_answered_whatever_its_literals"
OPERATIONS = "tests/contracts/test_client_operations.py::test_a_recorded_operation_is_valid"
DIFFERENTIAL = (
    f"{GATEWAY}/reads/test_differential.py::test_every_query_is_answered_as_by_the_slow_evaluator"
)
PARITY = f"{GATEWAY}/test_parity.py::test_both_ways_answer_the_same_and_ask_the_same"
WIRE = f"{GATEWAY}/test_wire.py"
COMPAT = "tests/unit/gateway/test_compat.py"
REFUSED = f"{COMPAT}::test_a_refusal_becomes_the_sentence_that_clients_know"
REGISTRY = "tests/integration/registry"
FLOWS = "tests/unit/registry/test_flows.py"
LEDGER = "tests/integration/runs"
TRANSITIONS = "tests/unit/runs/domain/test_transitions.py"
STATES = "tests/unit/runs/domain/test_states.py"
CREATION = "tests/unit/runs/domain/test_creation.py"
HEARTBEAT = "tests/integration/heartbeat/test_heartbeat.py"

POINTS: dict[int, Point] = {
    1: Point(
        "POST at /, /graphql and /graphql/alpha, all the same",
        (f"{BAD_INPUT}::test_every_path_takes_variables_in_every_form",),
    ),
    2: Point(
        "variables as a string of JSON, as an object, or absent",
        (f"{BAD_INPUT}::test_every_path_takes_variables_in_every_form",),
    ),
    3: Point(
        "unknown headers are ignored, and in server mode none is needed",
        (f"{WIRE}::test_unknown_headers_change_nothing", "matrix:registration"),
    ),
    4: Point(
        "a refusal is HTTP 200 with a message and a code; 4xx is for malformed documents",
        (
            f"{BAD_INPUT}::test_a_refusal_is_http_200_with_the_message_that_clients_know",
            f"{BAD_INPUT}::test_what_is_no_valid_request_is_http_400_with_a_reason",
            f"{GATEWAY}/test_keys.py::test_a_stranger_gets_nothing_and_is_told_so_as_clients_understand",
        ),
    ),
    5: Point(
        "JSON always; bodies of 10 MB; a new connection for each request",
        (
            f"{WIRE}::test_a_request_of_ten_megabytes_is_taken",
            f"{BAD_INPUT}::test_a_body_over_the_limit_is_refused_before_it_is_read",
        ),
    ),
    6: Point(
        "a mutation that is sent again does no harm",
        (
            f"{LEDGER}/test_creation.py::test_one_key_makes_one_run_however_many_ask_at_once",
            f"{LEDGER}/test_states.py::test_a_commit_whose_answer_is_lost_is_not_applied_twice",
            f"{LEDGER}/test_logs.py::test_lines_of_one_moment_keep_their_order_and_a_redelivery_adds_nothing",
            f"{REGISTRY}/test_pieces.py::test_pieces_that_are_sent_twice_count_once",
            f"{REGISTRY}/test_versions.py::test_a_registration_whose_answer_is_lost_is_found_again_by_its_key",
        ),
    ),
    7: Point(
        "any order of fields, any white space, anonymous operations",
        (
            f"{GATEWAY}/test_parity.py::test_a_plan_serves_documents_that_differ_in_their_literals_only",
            "tests/unit/gateway/reads/test_documents.py::test_the_scan_agrees_with_the_parser",
            RECORDED,
        ),
    ),
    8: Point("both dialects side by side", (OPERATIONS, PARITY, "matrix:registration")),
    9: Point(
        "the type names that variables are declared with, and the keys of their inputs",
        (
            OPERATIONS,
            "tests/contracts/test_client_operations.py::test_an_input_takes_every_key_that_a_client_sends",
        ),
    ),
    10: Point(
        "one object where a list is expected",
        (f"{READS}::test_a_single_value_stands_for_a_list", PARITY),
    ),
    11: Point(
        "a comparison with null is no condition",
        (
            f"{READS}::test_a_null_operand_is_no_condition",
            f"{READS}::test_every_argument_may_be_null",
        ),
    ),
    12: Point(
        "_and, _or, _in, _nin, _is_null, moments, and conditions on relations",
        (
            DIFFERENTIAL,
            f"{READS}::test_what_is_never_true_matches_nothing",
            f"{READS}::test_moments_are_read_with_and_without_time_and_offset",
            RECORDED,
        ),
    ),
    13: Point(
        "order_by keeps the order of its keys; distinct_on; aggregates",
        (
            f"{READS}::test_the_order_of_keys_in_an_ordering_is_kept",
            f"{READS}::test_distinct_columns_must_begin_the_ordering",
            f"{READS}::test_aggregates_count_and_compare",
            RECORDED,
        ),
    ),
    14: Point("relations with arguments of their own", (DIFFERENTIAL, RECORDED)),
    15: Point(
        "an unknown id is null, no match an empty list",
        (f"{READS}::test_an_unknown_id_is_null",),
    ),
    16: Point(
        "every column that clients read",
        (RECORDED, f"{READS}::test_the_old_command_line_reads_a_duration", "matrix:cli_describe"),
    ),
    17: Point(
        "compressed flows, with and without tasks, from 0.8 on",
        (
            f"{REGISTRY}/test_registration.py::test_a_compressed_flow_is_the_same_flow",
            f"{FLOWS}::test_the_oldest_shape_is_read_too",
            f"{FLOWS}::test_a_flow_without_tasks_waits_for_its_pieces",
            "matrix:registration",
        ),
    ),
    18: Point(
        "tasks and edges in pieces, some of them twice, some empty",
        (
            f"{REGISTRY}/test_pieces.py::test_a_flow_in_pieces_becomes_the_same_as_a_whole_one",
            f"{REGISTRY}/test_pieces.py::test_pieces_that_are_sent_twice_count_once",
            f"{FLOWS}::test_no_pieces_are_pieces_too",
            "tests/unit/registry/test_graph.py::test_a_mapped_edge_maps_the_task_it_leads_to",
        ),
    ),
    19: Point(
        "versions; older ones are archived, and archived ones do not run",
        (
            f"{REGISTRY}/test_versions.py::test_flows_of_the_same_name_and_project_are_versions_of_each_other",
            f"{LEDGER}/test_creation.py::test_no_run_is_created_once_archiving_has_committed",
            "matrix:versions",
        ),
    ),
    20: Point(
        "the idempotency key of a registration",
        (
            f"{REGISTRY}/test_versions.py::test_a_key_makes_one_version_as_long_as_it_is_the_last",
            "matrix:idempotent_registration",
        ),
    ),
    21: Point(
        "set_schedule_active on a flow without a schedule is no error",
        (f"{REGISTRY}/test_settings.py::test_without_a_schedule_there_is_nothing_to_start",),
    ),
    22: Point(
        "no scheduled run before the tasks are registered",
        (
            f"{REGISTRY}/test_registration.py::test_a_schedule_waits_unless_it_is_asked_for",
            "matrix:scheduled",
        ),
    ),
    23: Point(
        "defaults are merged into a run's parameters; a missing one is an error",
        (
            f"{CREATION}::test_what_is_given_wins_over_the_group_and_the_group_over_the_flow",
            f"{CREATION}::test_required_parameters_that_nobody_gave_are_named",
            "matrix:success",
        ),
    ),
    24: Point(
        "project_id null, from Core 0.10-0.12 in server mode: the project `default`",
        (
            f"{REGISTRY}/test_projects.py::test_flows_of_clients_without_projects_share_the_default_project",
            f"{COMPAT}::test_only_core_0_10_to_0_12_may_register_without_a_project",
            "matrix:registration",
        ),
    ),
    25: Point(
        "the exact text of a project that exists",
        (
            f"{BAD_INPUT}::test_a_second_project_of_the_same_name_is_the_exact_violation_clients_match_on",
            "matrix:projects",
        ),
    ),
    26: Point(
        "slugs come back as they were sent",
        (
            f"{REGISTRY}/test_registration.py::test_a_task_keeps_what_its_client_says",
            "tests/unit/registry/test_real_flows.py::test_a_flow_of_a_real_client_is_read",
        ),
    ),
    27: Point(
        "a run is made with a pending task run for every task",
        (
            f"{LEDGER}/test_creation.py::test_a_run_is_born_with_its_state_its_history_and_its_task_runs",
            "matrix:success",
        ),
    ),
    28: Point(
        "the idempotency key of a run",
        (
            f"{LEDGER}/test_creation.py::test_one_key_makes_one_run_however_many_ask_at_once",
            "matrix:idempotent_runs",
        ),
    ),
    29: Point(
        "a run's name, labels, parameters, run config and start",
        (
            f"{LEDGER}/test_creation.py::test_runs_without_a_name_get_two_words",
            f"{CREATION}::test_the_nearest_level_that_speaks_of_labels_wins",
            f"{CREATION}::test_the_nearest_run_config_wins",
            "matrix:success",
        ),
    ),
    30: Point(
        "the queue: what is due, what the labels allow, and the agent's sign of life",
        (
            f"{LEDGER}/test_queue.py::test_a_run_is_offered_to_agents_that_have_all_its_labels",
            f"{LEDGER}/test_queue.py::test_due_runs_come_oldest_first_across_label_sets_and_not_before_their_time",
            f"{LEDGER}/test_queue.py::test_asking_is_an_agents_sign_of_life",
            f"{GATEWAY}/test_bad_input.py::test_headers_that_say_null_choose_the_default_tenant",
        ),
    ),
    31: Point(
        "states of our own, with a start time, load in every client",
        (
            f"{STATES}::test_states_of_our_own_hold_what_all_clients_load",
            f"{STATES}::test_a_scheduled_state_without_a_start_time_starts_now",
            "matrix:success",
        ),
    ),
    32: Point(
        "a run is submitted once, and the second one is told `State update failed`",
        (f"{LEDGER}/test_states.py::test_a_run_is_claimed_once", REFUSED),
    ),
    33: Point(
        "states are answered one by one and in order, and kept as they came",
        (
            f"{LEDGER}/test_states.py::test_each_proposal_of_a_request_is_answered_by_itself_and_in_order",
            f"{STATES}::test_a_state_comes_back_as_it_was_sent",
            "matrix:retries",
        ),
    ),
    34: Point(
        "a stale version is refused where locking is on, and nowhere else",
        (
            f"{LEDGER}/test_states.py::test_a_stale_version_meets_the_lock_where_it_is_on",
            f"{LEDGER}/test_states.py::test_versions_are_ignored_where_the_lock_is_off",
            "matrix:version_locking",
            "matrix:stale_write",
        ),
    ),
    35: Point(
        "no task runs while its flow run does not",
        (f"{TRANSITIONS}::test_a_task_run_runs_only_while_its_flow_run_is_running", REFUSED),
    ),
    36: Point(
        "QUEUED, where a concurrency limit is reached",
        (
            f"{LEDGER}/test_concurrency_limits.py::test_a_queued_task_keeps_what_it_was_and_says_what_it_waits_for",
            f"{LEDGER}/test_concurrency_limits.py::test_a_flow_run_that_was_started_by_hand_waits_in_its_process",
            f"{LEDGER}/test_concurrency_limits.py::test_a_process_that_still_asks_moves_its_place_in_the_queue_on",
            "matrix:task_limits",
        ),
    ),
    37: Point(
        "mapped children are made on demand, each once",
        (
            f"{LEDGER}/test_states.py::test_task_runs_asked_for_at_once_are_made_once",
            "matrix:mapped",
        ),
    ),
    38: Point(
        "get_task_run_info",
        (f"{READS}::test_task_run_info_is_answered_and_an_unknown_one_is_an_error",),
    ),
    39: Point(
        "a flow's settings say whether heartbeats are wanted, in both words",
        (
            f"{REGISTRY}/test_settings.py::test_a_new_flow_shows_the_first_safeguards",
            "tests/unit/registry/test_rules.py::test_both_keys_of_heartbeats_change_together",
            "matrix:heartbeats_off",
        ),
    ),
    40: Point(
        "heartbeats are shown, and of a finished run they are no error",
        (
            f"{HEARTBEAT}::test_a_finished_run_is_never_announced",
            f"{HEARTBEAT}::test_pings_of_task_runs_are_shown_and_never_judged",
            "matrix:cli_heartbeat",
        ),
    ),
    41: Point(
        "cancelling asks what runs, ends what waits, and leaves what is over",
        (
            f"{TRANSITIONS}::test_cancelling_asks_what_runs_ends_what_waits_and_leaves_what_is_over",
            f"{LEDGER}/test_states.py::test_cancelling_a_waiting_run_takes_its_task_runs_with_it",
            "matrix:cancellation",
        ),
    ),
    42: Point(
        "cached states are found by a moment without an offset",
        (f"{READS}::test_moments_are_read_with_and_without_time_and_offset", RECORDED),
    ),
    43: Point(
        "every state of Core is taken",
        (f"{STATES}::test_every_state_is_accepted_with_its_type_alone",),
    ),
    44: Point(
        "logs of any shape and of no run",
        (
            f"{WIRE}::test_a_line_without_a_moment_gets_ours_and_one_object_is_a_batch",
            f"{LEDGER}/test_logs.py::test_lines_of_no_run_are_kept",
            f"{READS}::test_logs_of_one_moment_come_in_the_order_of_writing",
            "matrix:logs",
        ),
    ),
    45: Point(
        "a run remembers the agent that took it",
        (
            f"{LEDGER}/test_states.py::test_a_claim_names_the_agent_that_made_it",
            "tests/system/test_runs.py::test_the_agent_that_took_a_run_is_remembered_with_it",
        ),
    ),
    46: Point(
        "a run whose process left it to wait for a retry is offered again",
        (f"{LEDGER}/test_queue.py::test_a_running_run_is_offered_again_when_a_retry_is_due",),
    ),
    47: Point(
        "hello, auth_info and the scope RUNNER",
        (
            f"{WIRE}::test_agents_of_every_year_find_what_they_ask_before_they_start",
            "matrix:success",
        ),
    ),
    48: Point(
        "tenants, by ids that are equal as strings",
        (
            f"{GATEWAY}/test_keys.py::test_the_first_key_administers_the_first_tenant",
            "matrix:tenants",
        ),
    ),
    49: Point(
        "secrets, and the text for one that is not there",
        (
            f"{GATEWAY}/test_keys.py::test_a_secret_is_sealed_and_only_opens_under_its_own_name",
            REFUSED,
            "matrix:secrets",
        ),
    ),
    50: Point(
        "keys and values, artifacts, names",
        (
            f"{GATEWAY}/test_keys.py::test_the_key_value_store_keeps_what_clients_put_there",
            f"{LEDGER}/test_upkeep.py::test_artifacts_are_written_replaced_and_deleted_within_their_limit",
            f"{LEDGER}/test_upkeep.py::test_names_and_labels_can_be_set",
            "matrix:key_values",
            "matrix:artifacts",
        ),
    ),
    51: Point(
        "logging in to a tenant with a token, and renewing it",
        (
            f"{GATEWAY}/test_tokens.py::test_real_clients_log_in_renew_their_tokens_and_log_out",
            f"{GATEWAY}/test_tokens.py::test_the_refresh_token_gives_the_next_tokens_and_opens_nothing_else",
            f"{GATEWAY}/test_tokens.py::test_revoking_a_key_ends_its_tokens_within_a_second",
            OPERATIONS,
            "matrix:cli_auth",
        ),
    ),
    52: Point(
        "create_tenant, once for a slug",
        (f"{GATEWAY}/test_tenants.py::test_a_slug_is_given_once", OPERATIONS),
    ),
    53: Point(
        "register_agent with nothing but nulls; agent_config",
        (f"{WIRE}::test_an_agent_registers_with_nothing_but_nulls", RECORDED),
    ),
}

COUNT = 53
"""Points of the checklist."""
