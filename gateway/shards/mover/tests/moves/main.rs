//! Moves between two real PostgreSQL servers, while the gateway's store writes through its guarded functions.

// The lint's exception for tests knows functions marked as tests, not what they call.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod aborts;
#[path = "../../../../tests/store_conformance/cluster.rs"]
#[allow(dead_code, reason = "the other test program uses the rest")]
mod cluster;
mod deaths;
mod family;
#[path = "../../../../tests/store_conformance/fixtures.rs"]
#[allow(dead_code, reason = "the other test program uses the rest")]
mod fixtures;
mod guards;
mod hook;
mod ledger;
mod long;
mod many;
mod matrix;
#[path = "../../../../tests/support/port.rs"]
#[allow(unreachable_pub, reason = "it is public to the other test programs")]
mod port;
mod promotions;
#[path = "../../../../tests/support/proxy.rs"]
#[allow(unreachable_pub, dead_code, reason = "it is public to the other test programs, which use the rest")]
mod proxy;
mod rates;
mod replication;
#[path = "../../../../tests/store_conformance/server.rs"]
mod server;
mod slots;
mod soak;
mod traffic;
mod twins;
mod unacknowledged;
mod world;

use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_lose_nothing_while_their_slot_moves_there_and_back() {
    slots::there_and_back_under_load().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_that_dies_anywhere_is_followed_by_another() {
    deaths::at_every_point().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_crash_in_a_move_are_waited_for() {
    deaths::of_either_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_ends_by_itself_when_its_mover_dies() {
    deaths::in_the_fence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_and_zombies_change_nothing() {
    let mut world = World::start().await;
    twins::at_the_same_time(&mut world).await;
    twins::zombies_that_wake_anywhere(&mut world).await;
    twins::one_that_fell_silent(&mut world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_can_be_given_up_until_its_hand_over() {
    aborts::at_every_point().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_differs_is_refused() {
    aborts::of_tampered_copies().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_begins_the_copy_again() {
    let mut world = World::start().await;
    promotions::of_either_database(&mut world).await;
    promotions::with_a_fence(&mut world).await;
    promotions::behind_the_hand_over(&mut world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_whose_mover_died_behind_the_hand_over_is_opened_by_who_writes() {
    deaths::behind_the_hand_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_has_all_that_was_acknowledged() {
    replication::of_synchronous_standbys().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_that_a_promotion_would_take_back_is_not_acted_on() {
    replication::that_lack_the_hand_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, for people: run it with --nocapture on an idle machine"]
async fn rows_are_copied_at_a_rate() {
    rates::beside_a_plain_copy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_the_failure_matrix_ends_well() {
    matrix::every_cell_ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_that_nothing_acknowledges_ends_and_holds_nobody_up() {
    unacknowledged::whichever_packets_are_lost().await;
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn a_mover_in_a_process_of_its_own() {
    matrix::processes::be_a_mover().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a process that other tests start"]
async fn a_writer_in_a_process_of_its_own() {
    matrix::processes::be_a_writer().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_run_loses_nothing_and_its_checker_would_notice() {
    long::nothing_is_lost_and_the_checker_would_notice().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_in_the_database_say_what_the_protocol_says() {
    guards::say_what_the_protocol_says(&World::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_among_64_shards() {
    many::slots_move_among_them().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_every_kind_move() {
    let mut world = World::start().await;
    slots::with_nothing_in_it(&mut world).await;
    slots::with_edits_only(&mut world).await;
    slots::behind_a_long_transaction(&mut world).await;
    slots::cleaned_behind_the_move(&mut world).await;
    slots::told_to_the_operator(&mut world).await;
    slots::too_busy_for_the_limit(&mut world).await;
    slots::with_events_left_behind(&mut world).await;
    slots::by_command(&world).await;
}
