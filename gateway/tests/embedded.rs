//! The gateway that needs nothing else: one command, one folder, and nothing lost when it is killed at any moment.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{process::Command, time::Duration};

use chat_gateway::embedded;
use chat_test_client::{Account, Addresses, Client, ClientConfig, HistoryRange, Ledger, accounts, load};
use support::{
    eventually,
    lone::{Lone, local, wait_ready},
    process::Process,
    stage::PROGRAM,
};

const MINUTE: Duration = Duration::from_secs(60);

async fn account(addresses: &Addresses, name: &str) -> Account {
    accounts::enter(addresses, name, "a good password", MINUTE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_without_configuration_serves_people_and_remembers_them() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    let (listen, admin) = (local(), local());
    let serve = || {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--data").arg(&data);
        command.args(["--listen", &listen.to_string(), "--admin-listen", &admin.to_string()]);
        Process::start(&mut command, &log)
    };
    let mut first = serve();
    wait_ready(admin, &log).await;
    let (status, page) = accounts::get(&listen.to_string(), "/", None).await.unwrap();
    assert!(status.is_success() && String::from_utf8_lossy(&page).contains("<html"), "the page is served");

    let addresses = Addresses::new(vec![listen.to_string()]);
    let ann = account(&addresses, "ann").await;
    let bob = account(&addresses, "bob").await;
    let device = Client::start(ClientConfig::new(ann.clone(), addresses.clone(), Ledger::new())).await.unwrap();
    let other = Client::start(ClientConfig::new(bob, addresses.clone(), Ledger::new())).await.unwrap();
    let room = device.create_room("direct", "", &["bob".into()]).await.unwrap().id;
    let sent = device.send(room, "hello").await.unwrap();
    assert!(other.wait_position(room, sent.seq, Duration::from_secs(5)).await, "it arrives");
    drop((device, other));

    let busy = Command::new(PROGRAM).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    let said = String::from_utf8_lossy(&busy.stdout).into_owned();
    assert!(!busy.status.success() && said.contains("in use by another gateway"), "{said}");

    first.signal("TERM");
    assert_eq!(first.wait(), Some(0), "it ends in order");
    let _second = serve();
    wait_ready(admin, &log).await;
    let again =
        Client::start(ClientConfig::new(account(&addresses, "ann").await, addresses, Ledger::new())).await.unwrap();
    assert_eq!(again.account().user.id, ann.user.id, "the same person by the same password");
    let (messages, _) = again.history(room, HistoryRange::After(0)).await.unwrap();
    assert_eq!(messages.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_waits_for_the_file_of_a_gateway_that_has_not_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Lone::start(dir.path(), local());
    wait_ready(first.admin, &first.log).await;
    let mut config = embedded::prepare(&dir.path().join("data"), local(), local()).unwrap();
    config.database.embedded.as_mut().unwrap().wait_seconds = 60;
    let (file, log) = (dir.path().join("second.json"), dir.path().join("second.log"));
    std::fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let mut second = Lone::serve(&file, &log);
    eventually("the second waits", MINUTE, async || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("waiting for the gateway that has the file"))
    })
    .await;
    assert!(accounts::get(&config.admin_listen.to_string(), "/healthz", None).await.is_err(), "it does not serve yet");
    first.process.signal("TERM");
    assert_eq!(first.process.wait(), Some(0));
    wait_ready(config.admin_listen, &log).await;

    // One that still waits ends at once when it is told to.
    let third_log = dir.path().join("third.log");
    let mut third = Lone::serve(&file, &third_log);
    eventually("the third waits", MINUTE, async || {
        std::fs::read_to_string(&third_log).is_ok_and(|log| log.contains("waiting for the gateway that has the file"))
    })
    .await;
    third.signal("TERM");
    assert_eq!(third.wait(), Some(0), "nothing to drain");
    second.signal("TERM");
    assert_eq!(second.wait(), Some(0));
}

/// 200 kills in the long form. Every one falls into a stream of messages of which some are on their way.
#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_double_and_reorder_nothing() {
    let kills: u64 = if chat_test_client::is_long() { 200 } else { 20 };
    let dir = tempfile::tempdir().unwrap();
    let listen = local();
    let mut gateway = Lone::start(dir.path(), listen);
    wait_ready(gateway.admin, &gateway.log).await;
    let addresses = Addresses::new(vec![listen.to_string()]);
    let ledger = Ledger::new();
    let mut devices = Vec::new();
    for name in ["ann", "bob"] {
        let config = ClientConfig::new(account(&addresses, name).await, addresses.clone(), ledger.clone());
        devices.push(Client::start(config).await.unwrap());
    }
    let mut rooms = Vec::new();
    for n in 0..8 {
        let room = devices[0].create_room("group", &format!("room {n}"), &["bob".into()]).await.unwrap().id;
        for device in &devices {
            ledger.expect_member(device.id(), room);
            assert!(device.wait_position(room, 0, MINUTE).await);
        }
        rooms.push(room);
    }

    let messages = kills * 50;
    let progress = load::Progress::default();
    let clients: Vec<&Client> = devices.iter().collect();
    let load = load::Load { messages, in_flight: 32, body_bytes: 100, per_second: 200 };
    let killing = async {
        for kill in 1..=kills {
            progress.reach(kill * messages / (kills + 1)).await;
            // Not always just after an acknowledgement.
            tokio::time::sleep(Duration::from_micros(kill * 7_919 % 20_000)).await;
            gateway.kill_and_start();
        }
    };
    let (report, ()) = tokio::join!(load::run(&clients, &rooms, load, &progress), killing);
    let report = report.unwrap();
    let behind = load::settle(&clients, &report, MINUTE).await;
    assert!(behind.is_empty(), "{behind:?}");
    let verdict = ledger.verify();
    println!("{kills} kills under {messages} messages in {:?}\n{verdict}", report.took);
    verdict.assert_clean(messages);
    assert!(verdict.counts.connections > 2, "somebody had to connect again\n{verdict}");
}
