//! A backup of managed shards, restored into another ChatCluster: sequence numbers, texts and the answers to repeated messages are as they were.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{Addresses, Client, ClientConfig, HistoryRange, Ledger, accounts};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::condition,
    crowd::sign_up,
    manifest,
    wait::{Seen, until},
};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use uuid::Uuid;

use super::people::front;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

const NAMESPACE: &str = "e2e-backups";
const CLAIM: &str = "chat-backups";
/// Enough that each of two shards has some, wherever chance puts them.
const ROOMS: usize = 20;
const MESSAGES: u64 = 6;
/// Backups that are kept.
const KEPT: u32 = 2;

/// What was said in a room, and acknowledged.
struct Said {
    room: Uuid,
    /// Id, text and `seq`.
    messages: Vec<(Uuid, String, u64)>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_backup_is_restored_into_another_chat_cluster() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": CLAIM, "namespace": NAMESPACE },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    world.kubectl_apply(&claim.to_string()).await?;
    let before = ChatCluster::apply(&world, NAMESPACE, &wanted("before", None)).await?;
    before.wait_ready(READY_LIMIT).await?;

    // Another number reaches what makes the next backup.
    before.merge(json!({ "spec": { "database": { "backup": { "keep": KEPT } } } })).await?;
    until("the CronJob to follow", SETTLE_LIMIT, || async {
        let env = "jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].env[?(@.name=='KEEP')].value}";
        let keep = world.kubectl(&["get", "cronjob/before-backup", "-n", NAMESPACE, "-o", env]).await?;
        Ok(if keep == KEPT.to_string() { Seen::Yes(()) } else { Seen::NotYet(keep) })
    })
    .await?;
    back_up(&before, "first").await?;

    let addresses = Addresses::new(vec![front(&before).await?]);
    let account = sign_up(&addresses, "ann").await?;
    let ann = Client::start(ClientConfig::new(account.clone(), addresses, Ledger::new())).await?;
    let mut said = Vec::new();
    for number in 0..ROOMS {
        let room = ann.create_room("group", &format!("room {number}"), &[]).await?.id;
        let mut messages = Vec::new();
        for _ in 0..MESSAGES {
            let (id, text) = (Uuid::now_v7(), format!("said in room {number}"));
            messages.push((id, text.clone(), ann.send_as(room, id, &text).await?.seq));
        }
        said.push(Said { room, messages });
    }
    let backup = back_up(&before, "second").await?;
    until("the status to tell of it", Duration::from_secs(15), || async {
        let status = before.get().await?.data["status"]["backup"].clone();
        Ok(if status["lastSuccessfulTime"].is_string() { Seen::Yes(()) } else { Seen::NotYet(status.to_string()) })
    })
    .await?;
    let late = ann.send(said[0].room, "after the backup").await?;
    // Two are kept, and this is the third.
    back_up(&before, "third").await?;
    drop(ann);
    before.merge(json!({ "spec": { "database": { "backup": null } } })).await?;
    until("the end of the CronJob", SETTLE_LIMIT, || async {
        let there = world.kubectl(&["get", "cronjobs", "-n", NAMESPACE, "-o", "name"]).await?;
        Ok(if there.is_empty() { Seen::Yes(()) } else { Seen::NotYet(there) })
    })
    .await?;
    before.delete(&DeleteParams::foreground(), SETTLE_LIMIT).await?;

    let missing = "before/20260101T000000Z";
    let after = ChatCluster::apply(&world, NAMESPACE, &wanted("after", Some(missing))).await?;
    let told = until("that there is no such backup", SETTLE_LIMIT, || async {
        let object = after.get().await?;
        let told = condition(&object, "DatabaseAvailable").cloned().unwrap_or_default()["message"].to_string();
        Ok(if told.contains(missing) { Seen::Yes(told) } else { Seen::NotYet(told) })
    })
    .await?;
    println!("a backup that is not there: {told}");
    after.reapply(&wanted("after", Some(&backup))).await?;
    // A StatefulSet waits for ever for a pod that was never ready.
    world.kubectl(&["delete", "pod", "after-shard-a-0", "after-shard-b-0", "-n", NAMESPACE, "--wait=false"]).await?;
    after.wait_ready(SETTLE_LIMIT).await?;
    is_as_before(&after, &account.user.name, &account.password, &said, late.seq).await?;
    namespace.discard().await
}

/// Somebody signs in again, finds what was said before the backup, repeats it, and goes on.
async fn is_as_before(cluster: &ChatCluster, name: &str, password: &str, said: &[Said], late: u64) -> Result<()> {
    let addresses = Addresses::new(vec![front(cluster).await?]);
    let account = accounts::enter(&addresses, name, password, Duration::from_secs(60)).await?;
    let ann = Client::start(ClientConfig::new(account, addresses, Ledger::new())).await?;
    for Said { room, messages } in said {
        let (history, _) = ann.history(*room, HistoryRange::Newest).await?;
        for (id, text, seq) in messages {
            let found =
                history.iter().find(|message| message.seq == *seq).with_context(|| format!("no {seq} in {room}"))?;
            ensure!(found.body == *text, "{seq} of {room} says {:?}", found.body);
            let again = ann.send_as(*room, *id, text).await?;
            ensure!(again.duplicate && again.seq == *seq, "{seq} of {room} got another answer: {again:?}");
        }
        let last = messages.last().map(|(_, _, seq)| *seq).unwrap_or_default();
        let next = ann.send(*room, "after the restore").await?;
        ensure!(next.seq == last + 1 && !next.duplicate, "after {last} came {next:?}");
    }
    let first = said[0].messages.last().map(|(_, _, seq)| seq + 1);
    ensure!(first == Some(late), "what was said after the backup is gone, and its number is given a second time");
    for shard in ["a", "b"] {
        let rooms: usize = cluster.sql(shard, "select count(*) from chat.rooms").await?.parse()?;
        ensure!(rooms > 0, "shard {shard} has no room: this test proves nothing about it");
    }
    println!("{} messages in {} rooms are as before the restore", said.len() as u64 * MESSAGES, said.len());
    Ok(())
}

/// Makes a backup at once, as the documentation tells; returns its name.
async fn back_up(cluster: &ChatCluster, job: &str) -> Result<String> {
    let world = &cluster.world;
    let from = format!("--from=cronjob/{}-backup", cluster.name);
    world.kubectl(&["create", "job", job, &from, "-n", NAMESPACE]).await?;
    let object = format!("job/{job}");
    let done = ["wait", &object, "--for=condition=Complete", "--timeout=120s", "-n", NAMESPACE];
    let waited = world.kubectl(&done).await;
    let log = world.kubectl(&["logs", &object, "-n", NAMESPACE]).await?;
    waited.with_context(|| log.clone())?;
    println!("{log}");
    let whole = log.lines().find_map(|line| line.split_once(" is whole")).context("no backup is whole")?;
    ensure!(log.contains("deleted") == (job == "third"), "kept too many, or too few: {log}");
    Ok(whole.0.to_owned())
}

/// Two shards, with backups that nobody's schedule makes during this test; or begun with one.
fn wanted(name: &str, restore: Option<&str>) -> Value {
    let mut wanted = manifest::smallest(name);
    let volume = json!({ "claimName": CLAIM });
    let shard = |name: &str| {
        let mut managed = json!({ "storage": { "size": "1Gi" } });
        if let Some(backup) = restore {
            managed["restore"] = json!({ "persistentVolumeClaim": volume, "backup": backup });
        }
        json!({ "name": name, "managed": managed })
    };
    wanted["spec"]["gateways"]["limits"] = json!({ "messagesPerSecond": 10_000, "messageBurst": 10_000 });
    wanted["spec"]["database"] = json!({ "deletionPolicy": "Delete", "shards": [shard("a"), shard("b")] });
    if restore.is_none() {
        wanted["spec"]["database"]["backup"] = json!({ "cron": "0 0 1 1 *", "persistentVolumeClaim": volume });
    }
    wanted
}
