//! Everything crosses between the two gateways of the quickstart. How soon it is Ready is in `idle`.

use std::time::Duration;

use anyhow::{Result, anyhow};
use chat_test_client::{Client, ClientConfig, wire::Body};
use e2e::{
    ChatCluster, Crowd,
    crowd::{follow_gateways, sign_up},
    wait::{Seen, until},
};
use serde_json::json;
use tokio::sync::broadcast::Receiver;

use crate::shared::{SETTLE_LIMIT, shared};

const EVENT_LIMIT: Duration = Duration::from_secs(5);
/// Presence waits a few seconds before it calls somebody gone, so that a reconnect stays silent.
const PRESENCE_LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c_typing_receipts_and_presence_cross() -> Result<()> {
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 1).await?;
    let (ann, bob, room) = (&crowd.ann, &crowd.bob, crowd.rooms[0]);
    let (ann_id, bob_id) = (ann.account().user.id, bob.account().user.id);

    let mut seen_by_bob = bob.events();
    for (request, wanted) in [("typing_start", "start"), ("typing_stop", "stop")] {
        ann.tell(json!({ "type": request, "room": room })).await?;
        expect(&mut seen_by_bob, request, EVENT_LIMIT, |event| {
            matches!(event, Body::Typing { room: r, user, state, .. } if *r == room && *user == ann_id && state == wanted)
        })
        .await?;
    }

    let ack = ann.send(room, "for the receipts").await?;
    assert!(bob.wait_position(room, ack.seq, EVENT_LIMIT).await, "the message did not arrive");
    let mut seen_by_ann = ann.events();
    bob.tell(json!({ "type": "delivered", "room": room, "seq": ack.seq })).await?;
    expect(&mut seen_by_ann, "delivered", EVENT_LIMIT, |event| {
        matches!(event, Body::Receipt { room: r, user, delivered_seq, .. }
            if *r == room && *user == bob_id && *delivered_seq == ack.seq)
    })
    .await?;
    bob.tell(json!({ "type": "read", "room": room, "seq": ack.seq })).await?;
    expect(&mut seen_by_ann, "read", EVENT_LIMIT, |event| {
        matches!(event, Body::Receipt { room: r, user, read_seq, .. }
            if *r == room && *user == bob_id && *read_seq == ack.seq)
    })
    .await?;
    presence_crosses(&cluster, &crowd).await
}

/// Carol, on the first gateway, comes and goes; Bob, on the second, sees it.
async fn presence_crosses(cluster: &ChatCluster, crowd: &Crowd) -> Result<()> {
    let (addresses, follower) = follow_gateways(cluster, 0).await?;
    let carol = sign_up(&addresses, "carol").await?;
    let room = crowd.bob.create_room("direct", "", std::slice::from_ref(&carol.user.name)).await?.id;
    // Presence is told to those who follow a room, and Bob follows this one when his gateway has told him of it.
    assert!(crowd.bob.wait_position(room, 0, EVENT_LIMIT).await, "Bob does not hear of his own room");
    let mut seen_by_bob = crowd.bob.events();
    let is = |state: &'static str| {
        let user = carol.user.id;
        move |event: &Body| matches!(event, Body::Presence(presence) if presence.user == user && presence.state == state)
    };
    let device = Client::start(ClientConfig::new(carol.clone(), addresses, crowd.ledger.clone())).await?;
    expect(&mut seen_by_bob, "carol online", EVENT_LIMIT, is("online")).await?;
    // A Redis that does not answer in time, as on a busy machine, leaves a gateway with what it knows by itself.
    until("carol to be listed as online", EVENT_LIMIT, || async {
        let answer = crowd.bob.request(json!({ "type": "presence", "users": [carol.user.id] })).await?;
        let listed = matches!(&answer, Body::PresenceList { users, .. } if users[0].state == "online");
        Ok(if listed { Seen::Yes(()) } else { Seen::NotYet(format!("{answer:?}")) })
    })
    .await?;
    device.stop();
    expect(&mut seen_by_bob, "carol offline", PRESENCE_LIMIT, is("offline")).await?;
    follower.abort();
    Ok(())
}

async fn expect(
    events: &mut Receiver<Body>,
    what: &str,
    limit: Duration,
    wanted: impl Fn(&Body) -> bool,
) -> Result<()> {
    let search = async {
        loop {
            if wanted(&events.recv().await?) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(limit, search)
        .await
        .map_err(|_| anyhow!("no event for {what} within {} s", limit.as_secs()))?
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d_the_status_tells_how_many_people_are_connected() -> Result<()> {
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 1).await?;
    let limit = SETTLE_LIMIT;
    let connections = |wanted: u64| {
        let cluster = cluster.clone();
        e2e::wait::until(format!("{wanted} connections in the status"), limit, move || {
            let cluster = cluster.clone();
            async move {
                let seen = cluster.get().await?.data["status"]["connections"].clone();
                Ok(if seen == wanted { e2e::wait::Seen::Yes(()) } else { e2e::wait::Seen::NotYet(seen.to_string()) })
            }
        })
    };
    connections(4).await?;
    drop(crowd);
    connections(0).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(())
}
