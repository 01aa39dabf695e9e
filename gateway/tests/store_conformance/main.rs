//! What every store promises, run on the fake, on SQLite and on real PostgreSQL with two shards, and what only the sharded store
//! promises: guards, fences, moves, outages, migrations.

// The lint's exception for tests knows functions marked as tests, not what they call.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod batches;
mod cluster;
mod entries;
mod fixtures;
mod guards;
mod lists;
mod messages;
mod migration;
mod moves;
mod oracle;
mod outages;
mod outbox;
mod paging;
mod pooler;
#[path = "../support/port.rs"]
#[allow(unreachable_pub, reason = "it is public to the other test programs")]
mod port;
mod removals;
mod requests;
mod roles;
mod rooms;
mod server;
mod sessions;
mod slots;
mod trims;

use std::sync::Arc;

use chat_gateway::store::{Store, memory::MemoryStore, postgres::PostgresStore, sqlite::SqliteStore};

/// Runs the suite that every store passes; the name of the case stands before its failure.
async fn suite(store: Arc<dyn Store>) {
    macro_rules! cases {
        ($($case:path),+ $(,)?) => {$(
            println!("case {}", stringify!($case));
            $case(store.clone()).await;
        )+};
    }
    cases![
        rooms::accounts_are_found_and_names_taken_once,
        rooms::a_room_is_made_once_and_seen_by_its_members_only,
        rooms::members_come_and_go_by_the_rules,
        rooms::room_lists_follow_the_newest_version,
        rooms::marks_only_rise,
        messages::concurrent_senders_leave_no_gap,
        messages::a_repeat_gets_the_first_answer,
        messages::only_members_send_and_read,
        batches::a_crowd_in_many_rooms_is_answered_one_by_one,
        batches::one_id_sent_many_times_at_once_among_others_is_one_message,
        outbox::what_was_not_finished_is_claimed_once_at_a_time,
        outbox::events_survive_their_journey_through_the_store,
        sessions::a_refresh_token_is_good_once,
        sessions::a_lost_answer_is_given_again_until_its_token_is_used,
        sessions::of_many_uses_at_once_one_rotates,
        sessions::sessions_end_one_by_one_or_all_but_one,
        sessions::sessions_run_out,
        sessions::a_user_has_so_many_sessions,
        sessions::a_new_password_ends_the_other_sessions,
        sessions::racing_makers_of_an_account_make_one,
        sessions::whose_sessions_ended_is_told_since_a_mark,
        removals::every_entry_and_every_read_says_the_newest_removal,
        removals::removals_are_told_since_a_mark,
        paging::pages_are_what_a_model_says,
        paging::marks_are_what_a_model_says,
        entries::an_edit_changes_the_text_and_keeps_its_place_in_the_log,
        entries::a_deletion_leaves_nothing_to_read,
        entries::only_those_who_may_change_a_text,
        entries::reactions_are_counted_once_each,
        entries::repeats_of_changes_get_the_first_answer,
        entries::what_changed_nothing_is_answered_the_same_for_ever,
        entries::replies_and_mentions_are_kept,
        roles::the_owner_gives_roles_and_hands_the_room_over,
        roles::admins_remove_members_and_inherit,
        requests::a_room_is_answered_as_it_was_made,
        requests::who_was_removed_since_is_not_added_again,
        requests::who_came_back_is_not_removed_again,
        requests::a_room_is_handed_over_once,
        requests::a_mute_that_was_lifted_stays_lifted,
        requests::what_was_refused_is_not_kept,
        requests::of_many_at_once_one_does_it,
        requests::an_absent_room_has_no_answers,
        lists::members_come_page_by_page,
        lists::what_is_unread_is_counted_in_the_log,
        lists::a_muted_room_is_muted_for_its_member_only,
        slots::every_slot_has_one_owner,
        oracle::any_course_of_entries_is_what_the_fake_says,
    ];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fake_keeps_the_contract() {
    suite(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(SqliteStore::open(&folder.path().join("chat.sqlite3")).expect("open"));
    suite(store.clone()).await;
    trims::only_a_room_of_one_loses_what_is_old(&*store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_postgresql_shards_keep_the_contract() {
    let cluster = cluster::Cluster::start().await;
    let store = Arc::new(cluster.store());
    suite(store.clone()).await;
    trims::only_a_room_of_one_loses_what_is_old(&*store).await;
    trims::what_is_removed_is_logged_and_what_is_not_relayed_stays(&cluster, &*store).await;
    guards::tables_and_internal_functions_are_out_of_reach(&cluster).await;
    guards::other_isolation_levels_are_refused(&cluster).await;
    guards::the_same_call_again_gets_the_same_answer(&cluster, &*store).await;
    guards::health_counts_slots_and_notices_an_old_schema(&cluster, &*store).await;
    guards::gateways_of_the_version_before_react_as_they_did(&cluster, &*store).await;
    guards::gateways_of_the_version_before_change_members(&cluster, &*store).await;
    sessions::a_migrating_slot_logs_its_sessions(&cluster, &*store).await;
    sessions::an_end_that_commits_late_is_told(&cluster, &*store).await;
    sessions::only_ends_are_remembered_and_not_for_ever(&cluster, &*store).await;
    removals::entries_that_waited_for_a_removal_know_of_it(&cluster, &(store.clone() as Arc<dyn Store>)).await;
    removals::only_removals_are_remembered_and_not_for_ever(&cluster, &*store).await;
    batches::texts_that_come_together_share_commits(&cluster, store.clone()).await;
    batches::slots_that_may_not_be_written_are_left_out(&cluster, &*store).await;
    batches::batches_over_the_same_rooms_never_deadlock(&cluster, &*store).await;
    slots::sizes_are_counted_once_a_minute(&cluster, &*store).await;
    slots::large_tables_are_sampled(&cluster).await;
    slots::what_is_left_behind_a_move_is_counted(&cluster).await;
    moves::a_fence_holds_writers_and_lapses(&cluster, &*store).await;
    moves::every_row_that_a_change_touches_is_logged(&cluster, &*store).await;
    moves::a_fence_of_another_timeline_does_not_lapse(&cluster, &*store).await;
    moves::a_writer_that_waited_sees_what_the_mover_decided(&cluster, store.clone()).await;
    moves::a_moved_slot_is_followed(&cluster, store.clone()).await;
    moves::a_shard_that_is_not_known_yet_is_waited_for(&cluster, &*store).await;
    migration::a_second_run_changes_nothing(&cluster).await;
    migration::wrong_configurations_are_refused(&cluster).await;
    migration::what_is_no_shard_is_refused_before_anything_is_made(&cluster).await;
    migration::shards_that_do_not_fit_each_other_are_refused(&cluster).await;
    migration::a_removed_shard_comes_back_empty(&cluster).await;
    migration::a_wrong_password_is_told_at_once(&cluster).await;
    migration::a_plain_owner_without_further_rights_is_enough(&cluster).await;
    migration::a_new_password_is_picked_up(&cluster, &*store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_shards_behind_a_pooler_of_transactions_keep_the_contract() {
    let cluster = cluster::Cluster::start().await;
    pooler::poolers_that_break_something_are_refused(&cluster).await;
    let pooler = pooler::Pooler::start(&cluster, &pooler::Settings::documented());
    pooler::the_owner_must_not_come_through_it(&cluster, &pooler).await;
    let store = Arc::new(PostgresStore::start(&pooler.before(&cluster)));
    suite(store.clone()).await;
    guards::the_same_call_again_gets_the_same_answer(&cluster, &*store).await;
    guards::health_counts_slots_and_notices_an_old_schema(&cluster, &*store).await;
    sessions::a_migrating_slot_logs_its_sessions(&cluster, &*store).await;
    sessions::an_end_that_commits_late_is_told(&cluster, &*store).await;
    removals::entries_that_waited_for_a_removal_know_of_it(&cluster, &(store.clone() as Arc<dyn Store>)).await;
    batches::texts_that_come_together_share_commits(&cluster, store.clone()).await;
    batches::slots_that_may_not_be_written_are_left_out(&cluster, &*store).await;
    batches::batches_over_the_same_rooms_never_deadlock(&cluster, &*store).await;
    slots::sizes_are_counted_once_a_minute(&cluster, &*store).await;
    moves::a_fence_holds_writers_and_lapses(&cluster, &*store).await;
    moves::every_row_that_a_change_touches_is_logged(&cluster, &*store).await;
    moves::a_writer_that_waited_sees_what_the_mover_decided(&cluster, store.clone()).await;
    moves::a_moved_slot_is_followed(&cluster, store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_touch_only_their_shard_and_lose_nothing() {
    let mut cluster = cluster::Cluster::start().await;
    let store = Arc::new(cluster.store());
    outages::a_shard_that_is_away_fails_only_its_rooms(&mut cluster, &*store).await;
    outages::a_crash_under_load_loses_and_repeats_nothing(&mut cluster, store).await;
}
