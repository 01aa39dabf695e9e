//! The client against a fake gateway that loses acknowledgements, limits, repeats, skips and drains.

#![allow(clippy::expect_used, reason = "functions of a test")]

mod fake;

use std::time::Duration;

use chat_test_client::{
    Account, Addresses, Client, ClientConfig, Ledger, RequestError,
    ledger::FaultKind,
    load::{self, Load, Progress},
    wire::User,
};
use fake::{Fake, Fault};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(10);

struct Setting {
    fake: Fake,
    client: Client,
    ledger: Ledger,
}

async fn setting() -> Setting {
    let user = User { id: Uuid::now_v7(), name: "ann".into(), display_name: "Ann".into() };
    let fake = Fake::start(user.id).await;
    let account = Account { user, password: "long enough".into(), token: "t".into(), refresh_token: "r".into() };
    let ledger = Ledger::new();
    let config = ClientConfig::new(account, Addresses::new(vec![fake.address.clone()]), ledger.clone());
    let client = Client::start(config).await.expect("the fake welcomes everybody");
    ledger.expect_member(client.id(), Uuid::nil());
    Setting { fake, client, ledger }
}

impl Setting {
    async fn send(&self, count: u64) {
        let load = Load { messages: count, in_flight: 4, body_bytes: 20, per_second: 0 };
        let clients = [&self.client];
        let report = load::run(&clients, &[Uuid::nil()], load, &Progress::default()).await.expect("all acknowledged");
        assert_eq!(report.acked, count);
        assert_eq!(load::settle(&clients, &report, LIMIT).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_undisturbed_load_is_clean() {
    let setting = setting().await;
    setting.send(200).await;
    setting.ledger.verify().assert_clean(200);
}

#[tokio::test]
async fn a_load_goes_on_while_something_happens_and_all_of_it_counts() {
    let setting = setting().await;
    let (clients, rooms) = ([&setting.client], [Uuid::nil()]);
    let load = Load { messages: 20, in_flight: 4, body_bytes: 20, per_second: 2_000 };
    let story = async {
        // More than one round of them.
        while setting.ledger.verify().counts.acked < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok::<_, RequestError>("told")
    };
    let (report, told) = load::run_during(&clients, &rooms, load, story).await.expect("all acknowledged");
    assert!(told == "told" && report.acked >= 50, "{}", report.acked);
    assert_eq!(usize::try_from(report.acked).unwrap(), report.latencies.len());
    assert_eq!(load::settle(&clients, &report, LIMIT).await, Vec::<String>::new());
    let verdict = setting.ledger.verify();
    verdict.assert_clean(report.acked);
    assert_eq!((verdict.counts.acked, verdict.counts.unacked), (report.acked, 0), "{verdict}");
}

#[tokio::test]
async fn a_story_that_fails_ends_its_load() {
    let setting = setting().await;
    let load = Load { messages: 20, in_flight: 4, body_bytes: 20, per_second: 2_000 };
    let story = async { Err::<(), _>(RequestError::Stopped) };
    let told = load::run_during(&[&setting.client], &[Uuid::nil()], load, story).await;
    assert!(matches!(told, Err(RequestError::Stopped)), "{told:?}");
}

#[tokio::test]
async fn a_load_of_which_there_is_enough_ends_with_all_that_was_sent_acknowledged() {
    let setting = setting().await;
    let (clients, rooms, progress) = ([&setting.client], [Uuid::nil()], Progress::default());
    let load = Load { messages: 1_000_000, in_flight: 4, body_bytes: 20, per_second: 2_000 };
    let enough = async {
        progress.reach(50).await;
        progress.enough();
    };
    let (report, ()) = tokio::join!(load::run(&clients, &rooms, load, &progress), enough);
    let report = report.expect("all acknowledged");
    assert!((50..1_000_000).contains(&report.acked), "{}", report.acked);
    assert_eq!(load::settle(&clients, &report, LIMIT).await, Vec::<String>::new());
    let verdict = setting.ledger.verify();
    verdict.assert_clean(report.acked);
    assert_eq!(verdict.counts.unacked, 0, "{verdict}");
}

#[tokio::test]
async fn a_lost_acknowledgement_is_repeated_under_the_same_id() {
    let setting = setting().await;
    for _ in 0..5 {
        setting.fake.next(Fault::LoseAck);
        setting.send(20).await;
    }
    let verdict = setting.ledger.verify();
    verdict.assert_clean(100);
    assert_eq!(setting.fake.rows(), 100, "one row a message");
    assert!(verdict.counts.repeated_answers >= 5, "{verdict}");
    assert_eq!(setting.fake.hellos(), 6);
}

#[tokio::test]
async fn a_rate_limit_delays_and_does_not_fail() {
    let setting = setting().await;
    for _ in 0..10 {
        setting.fake.next(Fault::RateLimit);
    }
    setting.send(20).await;
    let verdict = setting.ledger.verify();
    verdict.assert_clean(20);
    assert_eq!(verdict.counts.repeats, 10);
}

#[tokio::test]
async fn a_reconnect_frame_moves_the_client() {
    let setting = setting().await;
    setting.fake.next(Fault::AskToReconnect);
    setting.send(50).await;
    assert!(setting.client.wait_standing(LIMIT, |standing| standing.connections == 2).await);
    setting.send(50).await;
    setting.ledger.verify().assert_clean(100);
}

#[tokio::test]
async fn a_room_whose_shard_is_away_is_resumed_where_the_client_stood() {
    for fault in [Fault::BringRoomLater, Fault::BreakBeforeRoom] {
        let setting = setting().await;
        setting.send(10).await;
        // The connection breaks with a message committed that the client has not seen.
        setting.fake.next(fault);
        setting.fake.next(Fault::LoseAck);
        setting.send(10).await;
        setting.ledger.verify().assert_clean(20);
    }
}

#[tokio::test]
async fn what_the_gateway_does_wrong_is_seen() {
    for (fault, kind) in [(Fault::DeliverTwice, FaultKind::Duplicated), (Fault::SkipEvent, FaultKind::Lost)] {
        let setting = setting().await;
        setting.send(5).await;
        setting.fake.next(fault);
        setting.send(5).await;
        let verdict = setting.ledger.verify();
        assert!(verdict.count(kind) > 0, "{fault:?} went unseen\n{verdict}");
    }
}

#[tokio::test]
async fn a_client_without_gateway_gives_up_in_time() {
    let user = User { id: Uuid::now_v7(), name: "ann".into(), display_name: "Ann".into() };
    let account = Account { user, password: "long enough".into(), token: "t".into(), refresh_token: "r".into() };
    let mut config = ClientConfig::new(account, Addresses::new(vec!["127.0.0.1:1".into()]), Ledger::new());
    config.patience = Duration::from_millis(200);
    assert!(Client::start(config).await.is_err());
}
