//! Every way in which members, removed members and the relay with them may attack a committee, and the
//! tests that show the honest case and then the refusal. A row about something that does not exist yet is
//! held by what refuses it, or open.

use std::collections::BTreeSet;

use crate::spec::{sources, test_functions};
use crate::{lies, misdeeds};

/// What is attacked, and who shows that it fails.
const ROWS: &[(&str, &str, &[&str])] = &[
    (
        "R1",
        "one entry is left out",
        &[
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "a_dropped_entry_is_caught",
            "a_gap_or_fork_in_the_authors_chain_is_refused",
        ],
    ),
    (
        "R2",
        "the tail is hidden from one client",
        &[
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "who_vouches_for_more_than_was_shown_is_told",
            "what_was_ahead_is_disputed_when_the_log_comes_there_with_another_root",
            "others_are_listened_for_each_hour_and_while_ones_newest_entry_waits_for_them",
        ],
    ),
    (
        "R3",
        "entries in another order, or twice",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "reordered_and_doubled_entries_are_caught",
            "entries_that_were_reordered_under_a_signed_root_are_evidence",
            "an_entry_twice_is_refused",
        ],
    ),
    (
        "R3b",
        "refuses a signed change of the roster, and appends it later",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "a_roster_change_must_follow_the_last_one",
            "nothing_is_called_safe_before_it_is",
        ],
    ),
    (
        "R4",
        "rolls back to an older state",
        &[
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "a_rollback_leaves_evidence_stops_that_committee_alone_and_ends_with_the_truth",
            "a_relay_restored_from_a_backup_is_caught_and_both_notes_are_kept",
            "the_same_lie_again_writes_no_second_file_and_a_graver_one_does",
            "only_a_rollback_hangs_on_the_word_of_who_made_the_file",
        ],
    ),
    (
        "R5",
        "shows two histories to two clients",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "two_who_were_forked_and_meet_always_find_out",
            "two_who_were_not_forked_find_nothing_when_they_meet",
            "whoever_holds_one_side_of_a_fork_and_a_note_of_the_other_has_evidence",
            "a_relay_that_shows_two_people_two_histories_is_caught_when_one_sees_the_other",
            "a_dispute_is_told_each_time_until_that_device_vouches_for_the_same_log",
            "a_colleague_who_vouches_for_another_log_is_named_at_each_sync_and_stops_nobody",
        ],
    ),
    (
        "R6",
        "an entry of another committee, or an old one again",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "another_committees_entry_is_refused",
            "another_terms_entry_is_refused",
            "an_entry_twice_is_refused",
            "the_relay_refuses_what_a_member_may_not_write",
        ],
    ),
    (
        "R6b",
        "acknowledges and drops",
        &[
            "no_lie_of_a_relay_is_believed_by_who_writes",
            "an_entry_that_was_acknowledged_and_dropped_leaves_evidence_and_waits_in_the_vault",
            "an_entry_that_was_acknowledged_and_is_not_shown_is_named_in_the_evidence",
            "another_entry_in_the_place_of_an_acknowledged_one_is_evidence_and_stays_a_reason_to_stop",
            "what_was_acknowledged_under_a_note_over_a_forgery_stays_acknowledged",
            "an_answer_is_taken_only_with_one_receipt_that_holds_for_each_entry",
        ],
    ),
    (
        "R11",
        "signs two roots for one size; changes size, root or signature of a checkpoint",
        &[
            "two_roots_for_one_size_leave_evidence_by_signatures_alone",
            "an_entry_that_its_author_did_not_sign_leaves_evidence",
            "every_flipped_bit_of_every_kind_is_refused",
            "an_honest_relays_notes_are_evidence_of_nothing",
            "no_lie_of_a_relay_is_believed_by_who_reads",
        ],
    ),
    (
        "R7",
        "another payload or blob in the place of the one that was signed for",
        &[
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "every_flipped_bit_is_refused_or_breaks_the_signature",
            "what_is_not_the_blob_that_was_named_is_refused_and_everything_else_stays_usable",
            "every_flipped_bit_and_every_cut_is_refused",
            "the_entry_names_just_this_blob",
            "a_payload_is_missed_until_its_forget_comes_and_the_log_is_the_same",
        ],
    ),
    (
        "R8",
        "a stale roster; a removal withheld from one client",
        &[
            "a_removal_that_is_withheld_shows_in_what_was_written_after_it",
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "two_of_three_coordinators_must_have_been_heard_within_the_lease",
            "who_vouches_for_more_than_was_shown_or_from_next_week_was_not_heard",
            "past_an_enforced_lease_no_record_is_sealed_and_a_suspension_still_goes",
            "an_invented_roster_head_is_refused",
        ],
    ),
    (
        "R9",
        "a member or device is inserted; the relay admits itself",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "what_the_relay_lets_in_behind_its_checks_no_honest_client_believes",
            "only_coordinators_admit_lock_and_label",
            "a_founding_entry_of_others_making_is_refused",
        ],
    ),
    (
        "R10",
        "a member gets a wrong grant, or none",
        &[
            "a_grant_that_does_not_open_is_named_and_its_repair_opens_what_came_meanwhile",
            "a_grant_of_another_secret_than_the_locks_is_not_taken",
            "who_lacks_a_grant_is_named_with_the_command_that_grants",
        ],
    ),
    (
        "R12",
        "answers that are endless, slow, too large, deeply nested",
        &[
            "no_lie_of_a_relay_is_believed_by_who_reads",
            "an_endless_answer_is_a_lie_and_stops_the_relay",
            "an_answer_that_stands_still_is_slow",
            "an_answer_that_drips_is_slow",
            "an_oversized_frame_is_a_lie_before_any_of_it_has_come",
            "an_incomplete_answer_is_a_lie",
            "what_comes_after_the_last_reply_is_a_lie",
            "an_answer_has_no_more_values_than_its_question_asks_for",
            "a_length_in_cbor_takes_no_memory",
            "no_bytes_make_decoding_panic",
        ],
    ),
    (
        "R14",
        "links people by sizes, counts and names",
        &[
            "nothing_written_is_in_a_frame_inside_the_transports_encryption",
            "with_sealing_taken_out_the_search_finds_it_everywhere",
            "the_relay_learns_the_login_key_and_no_name",
            "lengths_come_in_steps",
            "lengths_of_blobs_come_in_steps",
            "labels_read_back_in_steps",
            "requests_have_one_size",
            "for_named_readers_nothing_of_it_stands_outside",
            "a_records_payload_has_one_scrypt_stanza_of_work_factor_one",
            "cosignatures_say_the_hour_and_no_more",
        ],
    ),
    (
        "R15",
        "guesses an invitation, or uses it again",
        &[
            "dead_invitations_are_all_alike",
            "a_used_and_a_cancelled_invitation_are_dead",
            "an_expired_invitation_is_dead_by_the_relays_clock",
            "an_invitation_is_dead_while_its_maker_is_cut_off",
            "the_derived_values_differ",
            "the_text_is_all_that_shows_the_secret",
        ],
    ),
    (
        "R16",
        "a removal is withheld from one client for good",
        &[
            "two_of_three_coordinators_must_have_been_heard_within_the_lease",
            "past_an_enforced_lease_no_record_is_sealed_and_a_suspension_still_goes",
            "past_an_enforced_lease_nothing_is_sealed_until_coordinators_are_heard",
            "status_says_of_those_told_of_a_suspension_how_many_have_followed_it",
        ],
    ),
    (
        "R17",
        "an operator's backup is put back, or the store is lost",
        &[
            "a_log_shorter_than_signed_for_is_not_served",
            "another_log_than_the_one_signed_for_is_not_served",
            "whichever_of_the_two_files_is_lost_the_size_is_still_known",
            "a_log_without_its_format_file_or_journal_is_no_interrupted_init",
            "opening_creates_nothing_and_creating_overwrites_nothing",
            "a_data_folder_is_never_made_or_overwritten_by_accident",
            "an_old_export_put_in_the_place_of_a_newer_log_is_caught",
            "a_relay_restored_from_a_backup_is_caught_and_both_notes_are_kept",
        ],
    ),
    (
        "R18",
        "learns from a client whether something opened",
        &["nobody_who_listens_can_tell_whether_a_record_opened"],
    ),
    (
        "R19",
        "poisons a newcomer's first contact",
        &[
            "a_newcomer_is_shown_the_log_that_the_inviter_had_verified_or_none",
            "a_newcomer_who_is_shown_the_log_piece_by_piece_still_holds_it_to_the_inviters_head",
            "another_founding_entry_under_the_committees_name_is_caught",
            "a_log_whose_home_is_another_relay_is_not_taken_from_this_one",
            "another_relays_key_in_the_address_is_exit_7_and_never_a_network_error",
        ],
    ),
    (
        "X1",
        "reads what is written after the cut-off",
        &[
            "nothing_sealed_after_the_cut_off_opens_with_all_that_the_device_holds",
            "a_record_sealed_under_the_old_lock_is_sealed_anew_and_arrives_once",
            "a_lock_is_due_while_a_device_that_is_not_active_holds_the_epoch",
            "an_old_lock_is_refused",
        ],
    ),
    (
        "X2",
        "writes after the cut-off, back-dated or kept back",
        &[
            "what_the_relay_lets_in_behind_its_checks_no_honest_client_believes",
            "who_was_cut_off_writes_approves_restores_and_admits_nothing",
            "claimed_times_change_nothing",
        ],
    ),
    (
        "X3",
        "keeps an open watch or connection",
        &[
            "a_suspended_devices_connections_are_closed_within_a_second_and_nobody_elses",
            "a_suspension_ends_the_devices_watch_and_no_other",
            "a_pull_stops_between_frames_when_its_device_is_cut_off",
            "an_open_watch_ends_with_the_entry_that_cut_it_off",
        ],
    ),
    (
        "X3b",
        "reads on through a spare, theirs or that of one they helped",
        &[
            "a_spare_ends_with_the_first_of_its_helpers_and_does_not_come_back",
            "a_spare_falls_with_its_owner",
            "a_spare_brings_its_owner_back_and_does_nothing_else",
            "fewer_helpers_than_it_takes_make_nothing_of_the_whole_log",
            "a_suspended_owners_spare_is_dead",
            "kept_shares_of_somebody_suspended_open_nothing_that_is_sealed_later",
            "a_spare_ends_with_a_helper_and_the_shares_that_are_left_bring_nobody_back",
        ],
    ),
    (
        "X4",
        "approves, restores, admits themselves or a friend",
        &[
            "who_was_cut_off_writes_approves_restores_and_admits_nothing",
            "who_is_removed_never_comes_back_with_the_same_device",
            "removal_is_for_good",
            "an_invitation_is_dead_while_its_maker_is_cut_off",
        ],
    ),
    (
        "M1",
        "signs another's text, strips and signs anew, forwards to another committee",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "what_is_not_bound_to_its_place_is_shown_as_unopened_with_its_author",
            "anothers_name_is_refused",
            "a_record_with_a_colleagues_id_takes_nobodys_place",
        ],
    ),
    ("M2", "one file that opens differently for two", &["one_file_cannot_have_two_file_keys"]),
    (
        "M2b",
        "cheats in a proof: a payload that opens under two keys, a rewritten header, an omitted removal, \
         invented fields",
        &[
            "a_payload_that_opens_under_two_file_keys_is_refused_under_the_other_key",
            "bytes_that_open_under_two_keys_have_the_header_of_one",
            "a_payload_with_a_rewritten_header_is_not_what_was_signed_for",
            "a_roster_that_omits_a_removal_is_refused",
            "an_invented_field_leads_to_no_content",
            "cheats_in_a_proof_are_refused_by_the_program_and_by_the_steps",
            "a_header_whose_blobs_read_like_another_content_shows_no_other_field",
            "a_record_whose_header_names_blobs_is_refused",
            "an_attachment_of_another_member_is_none_of_the_record",
            "two_fields_of_one_path_or_out_of_their_order_are_malformed",
            "members_who_vouch_are_counted_and_the_author_is_none_of_them",
            "a_folder_without_end_is_refused_while_it_is_read",
        ],
    ),
    (
        "M3",
        "a payload that opens for some; a work factor that costs",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "a_records_payload_has_one_scrypt_stanza_of_work_factor_one",
            "a_higher_work_factor_is_refused_before_any_work",
            "a_record_of_another_epoch_has_the_wrong_key",
        ],
    ),
    (
        "M4",
        "a lock of another identity, or for too few or one too many",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "a_lock_grants_exactly_the_active_devices",
            "a_grant_of_another_secret_than_the_locks_is_not_taken",
            "an_approval_grants_nobody_who_was_active_before",
        ],
    ),
    (
        "M5",
        "more than the role allows; approvals replayed, void or old",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "only_coordinators_give_roles_restore_remove_and_set_the_policy",
            "nobody_approves_twice_on_the_way",
            "only_what_waits_is_approved",
            "an_approval_comes_within_thirty_days_of_the_proposal",
            "a_change_of_the_active_coordinators_voids_what_waits",
            "a_member_becomes_coordinator_when_a_second_coordinator_approves_and_not_before",
        ],
    ),
    (
        "M5b",
        "a coordinator takes over alone",
        &[
            "no_order_of_events_lets_one_coordinator_past_the_others",
            "a_coordinator_who_suspends_another_is_bound_until_the_others_decide",
            "a_bound_suspender_has_no_say_on_the_target",
            "the_last_active_coordinator_stays",
            "approvals_count_members_and_not_devices",
        ],
    ),
    (
        "M5c",
        "voids approvals by noise; starves a suspension",
        &[
            "what_one_coordinator_may_do_at_will_voids_nothing",
            "one_member_has_sixteen_proposals_waiting_and_one_more_drops_the_oldest",
            "repairs_do_not_overtake_others",
            "a_member_who_is_no_coordinator_cannot_starve_a_suspension",
        ],
    ),
    (
        "M5d",
        "frames the relay with a false `seen` or cosignature",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "another_root_seen_is_disputed",
            "a_false_seen_accuses_only_a_relay_that_let_it_in",
            "two_who_were_forked_and_meet_always_find_out",
        ],
    ),
    (
        "M5e",
        "forgets others' evidence, roster entries, or another's blob with its own",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "nobody_else_forgets_what_is_not_theirs",
            "only_records_are_forgotten_and_only_where_they_are",
            "where_more_are_needed_a_forget_waits_for_them",
            "a_coordinators_own_record_is_not_approved_by_its_author",
            "a_coordinator_has_anothers_record_dropped_and_nobody_else_has",
            "where_approvals_are_needed_nothing_is_dropped_before_the_last",
            "a_blob_goes_with_the_last_record_that_names_it_and_may_come_again",
            "a_payload_is_missed_unless_it_was_forgotten",
        ],
    ),
    (
        "M5f",
        "splits the committee by passphrases, broken grants or links",
        &[
            "a_link_that_leads_nowhere_is_named_by_every_holder_and_its_repair_leads_back",
            "a_broken_link_is_repaired_once_by_a_coordinator_who_did_not_make_it",
            "a_grant_of_another_secret_is_named",
            "a_device_that_nothing_can_be_sealed_to_keeps_no_lock_from_being_changed",
        ],
    ),
    (
        "M6",
        "bombs for parsers: huge, deep, endless",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "a_frame_of_a_gigabyte_takes_no_memory",
            "texts_over_their_limit_are_not_parsed",
        ],
    ),
    (
        "M6a",
        "a header of an age file with thousands of stanzas",
        &[
            "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not",
            "an_age_header_bomb_takes_no_memory_and_never_reaches_age",
            "a_header_bomb_is_refused_at_the_limit",
        ],
    ),
    (
        "M7",
        "escapes, bidi, handles that read alike",
        &[
            "what_others_wrote_moves_no_terminal",
            "records_of_a_member_who_means_harm_move_no_terminal",
            "names_in_a_hostile_label_move_no_terminal",
            "handles_of_those_who_ask_move_no_terminal_and_lookalikes_are_told",
            "nothing_shown_makes_a_terminal_do_anything_but_print",
            "handles_that_nobody_tells_apart_read_alike",
            "handles_are_normalised_and_hide_nothing",
            "handles_that_read_the_same_are_the_same",
            "two_of_one_name_are_told",
        ],
    ),
    (
        "M8",
        "an attachment named as a path, a device, a hidden file or a flag",
        &[
            "hostile_names_become_harmless_ones",
            "whatever_the_label_is_the_name_is_one_plain_component",
            "nothing_is_written_over_and_no_link_is_followed",
            "what_is_not_the_file_that_was_named_never_appears",
        ],
    ),
    (
        "M9",
        "formulas in exports: there are none yet",
        &["results_and_talk_go_to_different_streams"],
    ),
    (
        "M10",
        "forks their own chain from a backup",
        &["an_old_copy_of_a_vault_put_back_learns_what_it_wrote_and_forks_nothing"],
    ),
    (
        "L1",
        "copies the disk while the device is locked",
        &[
            "nothing_written_is_in_datagrams_the_relays_folder_logs_metrics_or_a_home",
            "homes_with_ten_and_with_a_thousand_records_differ_by_documented_steps_alone",
            "nothing_written_shows_on_disk_and_the_names_are_fixed",
            "a_guess_costs_what_was_promised_unless_a_test_asked_for_less",
        ],
    ),
    (
        "L2",
        "looks into swap, core dumps, /proc, command lines and temporary files",
        &[
            "the_secrets_are_in_one_place_and_nowhere_after_lockup_and_expiry",
            "a_crash_of_the_agent_leaves_no_core_dump",
            "others_on_the_machine_see_no_secret_and_no_name",
            "a_home_holds_four_files_for_its_owner_alone_and_nothing_is_left_beside_it",
            "the_database_syncs_every_commit_and_keeps_temporary_data_in_memory",
            "a_watch_that_the_agent_opened_ends_with_it",
        ],
    ),
    (
        "L3",
        "is another user or program on the machine",
        &[
            "another_user_is_refused_by_the_folder_by_the_socket_and_by_the_agent",
            "a_socket_or_folder_of_another_user_is_told_and_asked_for_nothing",
            "an_ordinary_users_agent_is_closed_to_that_user_too_and_locks_what_it_may",
            "an_umask_that_lets_all_in_changes_nothing",
        ],
    ),
    (
        "L4",
        "seizes it unlocked",
        &[
            "its_time_ends_it_and_so_does_idleness",
            "who_could_read_a_record_and_what_a_suspended_device_holds_is_told_from_the_log",
        ],
    ),
    (
        "L5",
        "puts an old backup of the vault back",
        &[
            "an_old_copy_of_a_vault_put_back_learns_what_it_wrote_and_forks_nothing",
            "a_vault_put_back_from_a_backup_goes_on_from_the_log_and_says_so",
            "a_vault_copied_back_after_a_week_says_so_catches_up_and_sends_nothing_twice",
            "a_vault_copied_back_of_a_device_that_was_retired_meanwhile_signs_nothing",
            "a_relay_restored_from_a_backup_is_caught_and_both_notes_are_kept",
            "a_vault_put_back_whose_device_vouched_for_more_than_the_relay_shows_says_so",
            "a_device_vouches_for_more_or_again_after_a_day_and_never_for_less",
        ],
    ),
];

/// Rows about what does not exist yet: a committee that moves to another home. Each comes with its tests.
const NOT_BUILT: &[&str] = &["R13", "R13b"];

/// Every row that there is about relays, members, who was cut off, and laptops.
const KNOWN: &str = "R1 R2 R3 R3b R4 R5 R6 R6b R7 R8 R9 R10 R11 R12 R13 R13b R14 R15 R16 R17 R18 R19 \
     X1 X2 X3 X3b X4 M1 M2 M2b M3 M4 M5 M5b M5c M5d M5e M5f M6 M6a M7 M8 M9 M10 L1 L2 L3 L4 L5";

#[test]
fn every_row_names_tests_that_are_there() {
    let functions = test_functions(&sources());
    let mut seen = BTreeSet::new();
    for (row, attack, tests) in ROWS {
        assert!(seen.insert(*row), "{row} twice");
        assert!(!tests.is_empty() || attack.ends_with("none yet"), "{row}: {attack}");
        for test in *tests {
            assert!(functions.contains(*test), "{row}, {attack}: there is no test {test}");
        }
    }
}

#[test]
fn no_row_is_missing() {
    let rows = ROWS.iter().map(|(row, ..)| *row).chain(NOT_BUILT.iter().copied());
    let mut listed = BTreeSet::new();
    for row in rows {
        assert!(listed.insert(row), "{row} is built and not built");
    }
    assert_eq!(listed, KNOWN.split_whitespace().collect());
}

#[test]
fn what_a_table_of_attacks_has_stands_in_its_rows() {
    for (row, test) in lies::covered().chain(misdeeds::covered()) {
        let stands = ROWS.iter().any(|(named, _, tests)| *named == row && tests.contains(&test));
        assert!(stands, "{row} does not name {test}");
    }
}
