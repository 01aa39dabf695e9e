//! The operator's probe at a real gateway over loopback, and at one that somebody has broken: each promise that is broken is found out and named.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

use std::{net::SocketAddr, sync::Arc, time::Instant};

use broken_gateway::{Fault, stand_before};
use chat_gateway::{embedded, serve::Gateway, store::sqlite::SqliteStore};
use chat_gateway_config::{Passwords, SigningKeys, delivery::Delivery};
use chat_operator::{
    probe::{Failure, Front, Told, probe},
    sensitive::Sensitive,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

const ANYWHERE: &str = "127.0.0.1:0";

/// A gateway with a database in a file, where nobody can sign up and people may hardly say anything.
struct Place {
    gateway: Gateway,
    front: Front,
    token: String,
    stop: CancellationToken,
    _data: TempDir,
}

impl Place {
    async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let anywhere: SocketAddr = ANYWHERE.parse().unwrap();
        let mut config = embedded::prepare(data.path(), anywhere, anywhere).unwrap();
        config.auth.passwords = Passwords::Disabled;
        (config.limits.messages_per_second, config.limits.message_burst) = (1, 1);
        let keys = std::fs::read_to_string(&config.auth.signing_key_file).unwrap();
        let token = std::fs::read_to_string(&config.admin_token_file).unwrap().trim().to_owned();
        let signer = SigningKeys::parse(keys.as_bytes()).unwrap().ids().remove(0);
        let issuer = config.cluster.clone();
        let store = SqliteStore::open(&data.path().join("chat.sqlite3")).unwrap();
        let stop = CancellationToken::new();
        let gateway = Gateway::start(config, "alone".to_owned(), Arc::new(store), stop.clone()).await.unwrap();
        let front =
            Front { address: gateway.address.to_string(), issuer, keys: Sensitive::new(keys), signer, cleared: None };
        Self { gateway, front, token, stop, _data: data }
    }

    /// The door behind which this is broken.
    async fn broken(&self, fault: Fault) -> Front {
        let address = stand_before(self.gateway.address, ANYWHERE.parse().unwrap(), fault).await.unwrap();
        Front { address: address.to_string(), ..self.front.clone() }
    }

    async fn admin(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.gateway.admin_address).await.unwrap();
        let token = &self.token;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn violation(front: &Front) -> Told {
    let began = Instant::now();
    match probe(front, 0).await {
        Err(Failure::Violation(told)) => {
            println!("{} after {:.1} s: {}", told.reason, began.elapsed().as_secs_f64(), told.message);
            told
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_gateway_keeps_its_promises_to_a_probe_that_nobody_notices() {
    let place = Place::open().await;
    let began = Instant::now();
    for round in 0..40_u8 {
        assert_eq!(probe(&place.front, round).await, Ok(()), "round {round}");
    }
    println!("40 probes took {:.2} s", began.elapsed().as_secs_f64());
    let told: Delivery = serde_json::from_str(&place.admin("/delivery").await).unwrap();
    assert_eq!((told.gateway.as_str(), told.violations.len()), ("alone", 0));
    assert_eq!((told.totals.accepted, told.totals.committed), (120, 120));
    // Whoever reads on the connection that says it, and on the other one.
    assert_eq!(told.totals.delivered, 240);
    assert_eq!(told.slots.iter().map(|slot| slot.counters.committed).sum::<u64>(), 120);
    assert!((2..=8).contains(&told.slots.len()), "eight rooms in as many slots, or nearly: {:?}", told.slots);
    let stats: serde_json::Value = serde_json::from_str(&place.admin("/stats").await).unwrap();
    assert_eq!(stats["delivery"]["totals"]["accepted"], 120);
    assert_eq!(
        (&stats["connections"], &stats["messages"]["accepted"]),
        (&0.into(), &0.into()),
        "no load of the cluster's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_and_kept_nowhere_is_lost() {
    let place = Place::open().await;
    let told = violation(&place.broken(Fault::Lose).await).await;
    assert_eq!(told.reason, "AcknowledgedLost");
    assert!(told.message.contains("gateway alone: message 1000001"), "{}", told.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_or_out_of_order_is_named() {
    let place = Place::open().await;
    let told = violation(&place.broken(Fault::Twice).await).await;
    assert_eq!(told.reason, "DeliveredTwice");
    assert!(told.message.contains("message 1 came twice"), "{}", told.message);
    let told = violation(&place.broken(Fault::Reorder).await).await;
    assert_eq!(told.reason, "DeliveredOutOfOrder");
    assert!(told.message.contains("gateway alone: message"), "{}", told.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_comes_is_told_as_soon_as_that_is_certain() {
    let place = Place::open().await;
    let told = violation(&place.broken(Fault::Mute).await).await;
    assert_eq!(told.reason, "NotDelivered");
    assert!(told.message.contains("is in the history"), "{}", told.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_cannot_chat_knows_nothing() {
    let place = Place::open().await;
    let trouble = async |front: Front| match probe(&front, 0).await {
        Err(Failure::Trouble(told)) => told,
        other => panic!("{other:?}"),
    };
    let nowhere = trouble(Front { address: "127.0.0.1:1".to_owned(), ..place.front.clone() }).await;
    assert_eq!(nowhere.reason, "FrontDoorClosed");
    let elsewhere = trouble(Front { issuer: "chat/other".to_owned(), ..place.front.clone() }).await;
    assert!(["Refused", "ConnectionLost"].contains(&elsewhere.reason), "{elsewhere:?}");
}
