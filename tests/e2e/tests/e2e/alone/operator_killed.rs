//! The operator is killed while one ChatCluster rolls out and another rolls back: the next one goes on where it was.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    few::{people::People, rollouts::revision},
    shared::{READY_LIMIT, SETTLE_LIMIT},
};

/// Devices of each ChatCluster: half of them move in the first wave. At the pace below the moves take so long that both are in the middle of them at one
/// time, though one began many seconds after the other.
const DEVICES: usize = 30;
/// Moves a second that the spec allows.
const PER_SECOND: u32 = 1;
/// Time over which moves are counted, and those that the budget allows in it: two seconds may have been saved up, and an order is carried out within two.
const SPAN: Duration = Duration::from_secs(4);
const IN_SPAN: u32 = PER_SECOND * (4 + 2 + 2);
/// Gateways that the autoscaler wants; a rollout has one more at most.
const WANTED: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_rollout_and_a_rollback_go_on_after_the_operator_was_killed() -> Result<()> {
    let world = World::connect().await?;
    let (forth, back) = tokio::try_join!(Story::begin(&world, "forth"), Story::begin(&world, "back"))?;
    let story = async {
        tokio::try_join!(forth.roll_out(), back.roll_out())?;
        // What goes back takes as long as what had come: neither may be over when the operator is killed.
        tokio::try_join!(forth.wait_moves(2), back.wait_moves(9))?;
        back.condemn().await?;
        let condemned: u32 = back.moves().iter().sum();
        back.wait_moves(condemned + 2).await?;
        let (there, returned) = (forth.moves(), back.moves());
        let killed = Instant::now();
        world.kill_operator().await?;
        println!("another operator runs {:.1} s after the old one was killed", killed.elapsed().as_secs_f64());
        tokio::try_join!(forth.wait_rolled_out(), back.wait_failed())?;
        println!("both are over after {:.1} s", killed.elapsed().as_secs_f64());
        forth.judge(&there, |moves, _| moves == 1)?;
        // There and back, and nobody who had not met it when it failed.
        back.judge(&returned, |moves, then| moves == if then > 0 { 2 } else { 0 })
    };
    let both = Box::pin(back.people.talk_during("a rollback without its operator", story));
    Box::pin(forth.people.talk_during("a rollout without its operator", both)).await?;
    for story in [&forth, &back] {
        story.namespace.discard().await?;
    }
    Ok(())
}

/// A ChatCluster, its people, and what was seen of it.
struct Story {
    namespace: Namespace,
    cluster: ChatCluster,
    people: Arc<People>,
    good: String,
    before: Vec<u32>,
    seen: Arc<Mutex<Record>>,
}

/// What a look every quarter of a second saw.
#[derive(Default)]
struct Record {
    /// Gateways that all Deployments together had to have.
    gateways: BTreeSet<i32>,
    /// Gateways that the autoscaler wanted.
    wanted: BTreeSet<i64>,
    /// Moves so far.
    moves: Vec<(Instant, u32)>,
}

impl Story {
    async fn begin(world: &World, name: &str) -> Result<Self> {
        let namespace = Namespace::fresh(world, &format!("e2e-{name}")).await?;
        let mut wanted = manifest::smallest(name);
        wanted["spec"]["broker"] = json!({ "redisPubSub": {} });
        wanted["spec"]["gateways"] = json!({
            "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
            "drain": { "movesPerSecond": PER_SECOND },
            "rollout": { "waves": [50, 100], "analysisSeconds": 2 },
            "autoscaling": { "mode": "Native", "minReplicas": WANTED, "maxReplicas": 6 },
        });
        let cluster = ChatCluster::apply(world, &namespace.name, &wanted).await?;
        cluster.wait_ready(READY_LIMIT).await?;
        cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
        let people = Arc::new(People::gather(&cluster, DEVICES).await?);
        let (good, before) = (revision(&cluster).await?, people.connections());
        let story = Self { namespace, cluster, people, good, before, seen: Arc::default() };
        story.watch();
        Ok(story)
    }

    /// Looks until the test is over.
    fn watch(&self) {
        let (cluster, people) = (self.cluster.clone(), Arc::downgrade(&self.people));
        let (before, seen) = (self.before.clone(), Arc::clone(&self.seen));
        tokio::spawn(async move {
            while let Some(people) = people.upgrade() {
                let moves = (Instant::now(), people.moves_since(&before).iter().sum());
                drop(people);
                let deployments = cluster.gateway_deployments().await.unwrap_or_default();
                let gateways: i32 =
                    deployments.iter().filter_map(|deployment| deployment.spec.as_ref()?.replicas).sum();
                let wanted = cluster
                    .get()
                    .await
                    .ok()
                    .and_then(|object| object.data["status"]["autoscaling"]["desiredReplicas"].as_i64());
                {
                    let mut seen = seen.lock().unwrap();
                    seen.gateways.extend((!deployments.is_empty()).then_some(gateways));
                    seen.wanted.extend(wanted);
                    seen.moves.push(moves);
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
    }

    fn moves(&self) -> Vec<u32> {
        self.people.moves_since(&self.before)
    }

    async fn roll_out(&self) -> Result<()> {
        let template = json!({ "annotations": { "example.com/turn": "1" } });
        self.cluster.merge(json!({ "spec": { "gateways": { "podTemplate": template } } })).await.map(drop)
    }

    async fn wait_moves(&self, count: u32) -> Result<()> {
        until(format!("{count} moves in {}", self.cluster.name), SETTLE_LIMIT, || async {
            let moves: u32 = self.moves().iter().sum();
            Ok(if moves >= count { Seen::Yes(()) } else { Seen::NotYet(moves.to_string()) })
        })
        .await
    }

    /// Notes a failure of the new revision, as the operator itself does.
    async fn condemn(&self) -> Result<()> {
        let rollout = self.cluster.get().await?.data["status"]["rollout"].clone();
        let revision = rollout["revision"].as_str().with_context(|| format!("no rollout: {rollout}"))?;
        let name = format!("{}-gateway-{revision}", self.cluster.name);
        let patch =
            json!({ "metadata": { "annotations": { "chatcluster.dev/rollout-failed": "Condemned: by a test" } } });
        let api: Api<Deployment> = Api::namespaced(self.cluster.world.client.clone(), &self.cluster.namespace);
        api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    async fn wait_rolled_out(&self) -> Result<()> {
        until("the rollout to end", SETTLE_LIMIT, || async {
            let status = self.cluster.get().await?.data["status"].clone();
            let done = status["rollout"].is_null() && status["revision"] != self.good.as_str();
            Ok(if done { Seen::Yes(()) } else { Seen::NotYet(status["rollout"].to_string()) })
        })
        .await
    }

    async fn wait_failed(&self) -> Result<()> {
        until("the rollback to end", SETTLE_LIMIT, || async {
            let status = self.cluster.get().await?.data["status"].clone();
            let rollout = &status["rollout"];
            let done = rollout["phase"] == "Failed" && status["revision"] == self.good.as_str();
            Ok(if done { Seen::Yes(()) } else { Seen::NotYet(rollout.to_string()) })
        })
        .await
    }

    /// Whether each device moved as it should, given how often it had `then`, at the pace that the spec allows, and never with more gateways than a
    /// rollout may have. The number that the autoscaler wants has never been another.
    fn judge(&self, then: &[u32], fits: impl Fn(u32, u32) -> bool) -> Result<()> {
        let (name, moves, seen) = (&self.cluster.name, self.moves(), self.seen.lock().unwrap());
        println!("{name}: {then:?} moves when the operator was killed, {moves:?} in the end");
        ensure!(moves.iter().sum::<u32>() > then.iter().sum(), "{name} was over when the operator was killed");
        ensure!(moves.iter().zip(then).all(|(moves, then)| fits(*moves, *then)), "{name}: {moves:?}, before {then:?}");
        ensure!(seen.gateways.iter().all(|count| (WANTED..=WANTED + 1).contains(count)), "{name}: {:?}", seen.gateways);
        ensure!(seen.wanted == BTreeSet::from([WANTED.into()]), "{name}: {:?} were wanted", seen.wanted);
        let most = seen.moves.iter().map(|(end, total)| {
            let begin = seen.moves.iter().find(|(at, _)| *end - *at <= SPAN).map_or(0, |(_, moves)| *moves);
            total - begin
        });
        let most = most.max().unwrap_or_default();
        println!("{name}: {most} moves within {SPAN:?} at most");
        ensure!(most <= IN_SPAN, "{name}: {most} moves within {SPAN:?}");
        Ok(())
    }
}
