//! A repeated send gets the first answer, and there is one row.

use anyhow::Result;
use chat_test_client::RequestError;
use e2e::{ChatCluster, Crowd};
use serde_json::json;
use uuid::Uuid;

use crate::shared::shared;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_repeat_gets_the_first_answer_and_one_row() -> Result<()> {
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 1).await?;
    let room = crowd.rooms[0];
    let id = Uuid::now_v7();
    let first = crowd.ann.send_as(room, id, "once").await?;
    assert!(!first.duplicate);
    crowd.ann.send(room, "in between").await?;
    for device in [&crowd.ann, &crowd.ann_away] {
        let again = device.send_as(room, id, "once").await?;
        assert_eq!((again.seq, again.duplicate), (first.seq, true), "through {:?}", device.standing().gateway);
    }
    assert_eq!(rows(&cluster, &[id]).await?, 1);
    for (device, body) in [(&crowd.ann, "something else"), (&crowd.bob, "once")] {
        let request = json!({ "type": "send", "room": room, "message_id": id, "body": body });
        let refused = device.request(request).await;
        assert!(matches!(&refused, Err(RequestError::Refused(r)) if r.code == "conflict"), "{refused:?}");
    }
    crowd.arrived(room, 2).await?;
    crowd.ledger.verify().assert_clean(2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b_simultaneous_repeats_over_two_gateways_make_one_row() -> Result<()> {
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 1).await?;
    let room = crowd.rooms[0];
    let mut ids = Vec::new();
    for _ in 0..20 {
        let id = Uuid::now_v7();
        let sends = (0..10).map(|n| {
            let device = if n % 2 == 0 { &crowd.ann } else { &crowd.ann_away };
            device.send_as(room, id, "at once")
        });
        let acks = futures::future::try_join_all(sends).await?;
        assert!(acks.iter().all(|ack| ack.seq == acks[0].seq), "{acks:?}");
        assert_eq!(acks.iter().filter(|ack| !ack.duplicate).count(), 1, "{acks:?}");
        ids.push(id);
    }
    assert_eq!(rows(&cluster, &ids).await?, 20);
    crowd.arrived(room, 20).await?;
    crowd.ledger.verify().assert_clean(20);
    Ok(())
}

/// Rows of these messages over all shards.
async fn rows(cluster: &ChatCluster, ids: &[Uuid]) -> Result<u64> {
    let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let query = format!("select count(*) from chat.messages where message_id in ({})", ids.join(", "));
    let object = cluster.get().await?;
    let mut rows = 0;
    for shard in object.data["spec"]["database"]["shards"].as_array().expect("shards") {
        rows += cluster.sql(shard["name"].as_str().expect("a name"), &query).await?.parse::<u64>()?;
    }
    Ok(rows)
}
