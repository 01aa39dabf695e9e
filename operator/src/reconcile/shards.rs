//! The shards in a pass: which of them gateways use, which are coming or going, and which slots move between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chat_crds::{
    ShardRebalance,
    chat_cluster::{ShardPhase, ShardRebalancingMode},
    shard_rebalance::{RebalanceState, ShardRebalanceSpec},
};
use chat_gateway_config::stats::GatewayStats;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{ResourceExt as _, api::ObjectMeta};

use super::{
    apply::Hands,
    dereference::Dereferenced,
    leaving::leaving,
    live::Live,
    observed,
    rebalances::{Desk, DeskError},
    validated::ValidatedCluster,
};
use crate::{
    build::{Kind, mover_name},
    context::Context,
    names::{ClusterKey, Component, label},
    poll::ClusterView,
    rebalance::{Census, Course, Measures, MoverJob, Scene, Standing, Wanted, Wish, course},
    recurrence::{Recurrence, RecurrenceError},
};

/// Pause between two looks while slots move.
const WHILE_MOVING: Duration = Duration::from_secs(3);
/// The same while something is waited for that no watch tells of.
const WHILE_WAITING: Duration = Duration::from_secs(10);

/// What was seen of the shards, for the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardsSeen {
    /// Shards of the spec that not every gateway has yet, and why.
    pub joining: BTreeMap<String, String>,
    /// Shards that the spec has no more and that are still there, and whether their slots have left them.
    pub leaving: BTreeMap<String, ShardPhase>,
    /// Why slots are not as the spec asks: reason and message.
    pub unbalanced: Option<(&'static str, String)>,
    /// Nobody has looked yet whether slots have to move to be as the spec asks.
    pub is_undecided: bool,
    /// The shards themselves have said in this pass that every slot is owned or on its way.
    pub is_whole: bool,
    /// Rows, bytes and lag by shard, where they were asked for in this pass.
    pub sizes: BTreeMap<String, (i64, i64, Option<i64>)>,
    /// When to look again although nothing tells of a change.
    pub again: Option<Duration>,
}

/// Shards that gateways use: all of them once the migration has seen to them, else those that they have.
fn served(cluster: &ValidatedCluster, live: &Live, migration: &str) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = cluster.shards().iter().map(|shard| shard.name.clone()).collect();
    if !cluster.completed_migrations.contains(migration) {
        let secret: Option<Secret> = live.typed(Kind::Secret, &cluster.names.gateway_shards());
        let has = secret.and_then(|secret| secret.data).unwrap_or_default();
        all.retain(|shard| has.contains_key(shard));
    }
    all
}

/// The windows of the spec.
pub(super) fn windows(fetched: &Dereferenced, now: Timestamp) -> Result<Vec<Recurrence>, RecurrenceError> {
    let windows = fetched.cluster.spec.effective_shard_rebalancing().windows;
    Recurrence::windows("spec.database.rebalance.windows", &windows, now)
}

/// Looks at the shards, and does what follows.
pub(super) async fn tend(
    context: &Context,
    key: &ClusterKey,
    fetched: &Dereferenced,
    validated: &mut ValidatedCluster,
    (view, hands): (&ClusterView, Hands),
    migration: Option<&str>,
) -> Result<ShardsSeen, DeskError> {
    // An embedded database needs none, and has no shards.
    let Some(migration) = migration else {
        if hands == Hands::On && context.memory.is_named(key) {
            Desk::new(context, key).say(|object| Some(Standing::without_shards(object))).await?;
        }
        return Ok(ShardsSeen::default());
    };
    validated.fleet.served = served(validated, &fetched.live, migration);
    let mut seen = ShardsSeen { joining: joining(validated, view, migration), ..ShardsSeen::default() };
    for shard in leaving(&fetched.cluster) {
        let phase = if shard.released { ShardPhase::Released } else { ShardPhase::Leaving };
        if shard.released && is_let_go(view, shard.name) {
            tracing::info!(shard = shard.name, "no gateway has the shard any more");
            continue;
        }
        if shard.released && shard.secret.is_none() {
            validated.fleet.released.insert(shard.name.to_owned());
        }
        seen.leaving.insert(shard.name.to_owned(), phase);
    }
    let is_one = validated.shards().len() == 1 && seen.leaving.is_empty();
    if is_one && !context.memory.is_named(key) {
        return Ok(seen);
    }
    if !seen.joining.is_empty() || !seen.leaving.is_empty() {
        seen.again = Some(WHILE_WAITING);
    }
    let pass = Pass { context, key, fetched, view, hands, migration };
    let course = pass.moves(validated, &mut seen).await?;
    if course.is_busy {
        context.memory.busy(key);
        seen.again = Some(WHILE_MOVING);
    } else if !course.standings.is_empty() || course.creates || !course.movers.is_empty() {
        seen.again = Some(seen.again.unwrap_or(WHILE_WAITING));
    }
    validated.fleet.movers = course.movers;
    Ok(seen)
}

/// Whether no gateway has the shard any more. One that says nothing may have it.
fn is_let_go(view: &ClusterView, shard: &str) -> bool {
    let has = |name: &str| view.gateways.values().any(|stats| stats.shards.iter().any(|shard| shard.name == name));
    view.asked && view.silent.is_empty() && !has(shard)
}

/// Shards of the spec that not every gateway has yet, and why. Without gateways there is nothing to wait for.
fn joining(cluster: &ValidatedCluster, view: &ClusterView, migration: &str) -> BTreeMap<String, String> {
    let mut joining = BTreeMap::new();
    if view.gateways.is_empty() {
        return joining;
    }
    for shard in cluster.shards().iter().filter(|shard| !shard.is_leaving) {
        if !cluster.fleet.served.contains(&shard.name) {
            joining
                .insert(shard.name.clone(), format!("Job {migration} brings it to the schema of the gateways first"));
            continue;
        }
        let lacks = |stats: &GatewayStats| !stats.draining && stats.shards.iter().all(|known| known.name != shard.name);
        let late = view.gateways.values().filter(|stats| lacks(stats)).count();
        if late > 0 {
            let all = view.gateways.len();
            let why = format!("{late} of {all} gateways have yet to take it, which needs a minute or two");
            joining.insert(shard.name.clone(), why);
        }
    }
    joining
}

struct Pass<'a> {
    context: &'a Context,
    key: &'a ClusterKey,
    fetched: &'a Dereferenced,
    view: &'a ClusterView,
    hands: Hands,
    /// Name of the migration that the shards need.
    migration: &'a str,
}

impl Pass<'_> {
    async fn moves(&self, validated: &mut ValidatedCluster, seen: &mut ShardsSeen) -> Result<Course, DeskError> {
        let Self { context, key, fetched, .. } = self;
        let memory = &context.memory;
        let settings = fetched.cluster.spec.effective_shard_rebalancing();
        validated.fleet.bytes_per_second = settings.bytes_per_second.and_then(|rate| u64::try_from(rate).ok());
        let wish = Wish::of(&fetched.cluster.spec);
        let desk = Desk::new(context, key);
        let objects = desk.read().await?;
        let is_over = |object: &ShardRebalance| RebalanceState::of(object.status.as_ref()).is_over();
        let open: Vec<&ShardRebalance> = objects.iter().filter(|object| !is_over(object)).collect();
        let tidiers = tidiers(&fetched.live, self.migration);
        if tidiers.iter().any(|(_, job)| *job == MoverJob::Done) {
            // There may be more to tidy up.
            memory.look_again(key);
        }
        let running = || tidiers.iter().filter(|(_, job)| *job == MoverJob::Running);
        let looks = open.is_empty() && seen.joining.is_empty() && memory.is_due(key, &wish.target);
        let plans = open.iter().any(|object| object.status.as_ref().is_none_or(|status| status.plan.is_none()));
        let is_left = seen.leaving.values().any(|phase| *phase == ShardPhase::Leaving);
        let census = if looks || is_left || !open.is_empty() || memory.is_settling(key) {
            self.census(looks || plans, &open).await
        } else {
            None
        };
        // Where nothing is counted yet a plan would go by the number of slots alone.
        let counted = match &census {
            Some(census) if looks || plans => memory.asked_for_sizes(key, !census.sizes.is_empty()),
            _ => true,
        };
        let looks = looks && counted;
        if !counted {
            seen.again = Some(WHILE_WAITING);
        }
        let stray = census.iter().filter(|_| open.is_empty()).flat_map(|census| census.transit.keys().copied());
        // Where nobody could say anything nothing is concluded: movers go on, and what has been on its way for long still has been.
        let orphans = census.as_ref().map_or_else(BTreeSet::new, |_| memory.orphans(key, stray));
        let now = Timestamp::now();
        let windows = &validated.windows;
        let movers = mover_pods(&fetched.live);
        let away = self.away(validated);
        let measures = Measures {
            milli_writes: if looks || plans {
                context.poller.writes(key, &fetched.live.pods, now).await
            } else {
                BTreeMap::new()
            },
            bytes_per_second: validated.fleet.bytes_per_second,
            concurrent: u32::try_from(settings.concurrent_moves).unwrap_or(1),
        };
        let job = |wanted: &Wanted| job(validated, &fetched.live, wanted, self.migration);
        let course = course(&Scene {
            now,
            wish: &wish,
            census: census.as_ref(),
            measures: &measures,
            mode: settings.mode,
            is_open: Recurrence::is_open(windows, now),
            joining: &seen.joining,
            away: &away,
            objects: &objects,
            job: &job,
            orphans: &orphans,
            movers: &movers,
            is_tidying: running().next().is_some(),
            is_counted: counted,
            would_move: memory.would_move(key),
            looks,
            history: usize::try_from(settings.history_limit).unwrap_or_default(),
            keeps: SignedDuration::from_secs(i64::from(settings.keep_source_seconds)),
        });
        if course.tidies {
            validated.fleet.tidiers = running().map(|(name, _)| name.clone()).collect();
        }
        // While slots are on their way nothing was learned that would last.
        let strays = census.as_ref().is_some_and(|census| !census.transit.is_empty());
        if strays && open.is_empty() {
            seen.again = Some(WHILE_WAITING);
        }
        if looks && census.is_some() && !strays {
            memory.looked(key, &wish.target, course.would_move);
        }
        seen.is_undecided = memory.is_undecided(key, &wish.target);
        if seen.is_undecided && !self.view.gateways.is_empty() {
            // Nothing tells when somebody can be asked again.
            seen.again.get_or_insert(WHILE_WAITING);
        }
        if let Some(census) = &census {
            self.take(census, &course, validated, seen);
            desk.tell_moves(census, &open).await;
        }
        seen.unbalanced = course.unbalanced.clone().or_else(|| self.at_rest(seen, settings.mode));
        if self.hands == Hands::On {
            desk.write(&objects, &course, now).await?;
            if course.creates {
                desk.create(self.new_object(&objects), &fetched.cluster).await?;
            }
            if course.creates || course.standings.values().any(|standing| standing.state.is_over()) {
                memory.look_again(key);
            }
        }
        Ok(course)
    }

    async fn census(&self, sizes: bool, open: &[&ShardRebalance]) -> Option<Census> {
        let started = open.iter().filter_map(|object| object.status.as_ref()?.start_time.as_ref());
        let since = started.map(|time| time.0.as_millisecond()).min();
        let answer = self.context.poller.slots(self.key, &self.fetched.live.pods, sizes, since).await?;
        Some(Census::of(&answer))
    }

    /// Shards that a gateway does not reach, and managed ones whose pod is not ready.
    fn away(&self, validated: &ValidatedCluster) -> BTreeSet<String> {
        let is_away = |name: &String| {
            let said = self.view.gateways.values().flat_map(|stats| &stats.shards);
            said.filter(|shard| shard.name == *name).any(|shard| !shard.component.available)
        };
        validated.shards().iter().map(|shard| shard.name.clone()).filter(is_away).collect()
    }

    /// What the shards have said, for the status.
    fn take(&self, census: &Census, course: &Course, validated: &mut ValidatedCluster, seen: &mut ShardsSeen) {
        seen.is_whole = census.is_whole();
        if !census.sizes.is_empty() {
            let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            for shard in &census.heard {
                seen.sizes.insert(shard.clone(), (0, 0, census.lag.get(shard).copied().map(number)));
            }
            for (slot, (rows, bytes)) in &census.sizes {
                if let Some(owner) = census.owners.get(slot) {
                    let (all_rows, all_bytes, _) = seen.sizes.entry(owner.shard.clone()).or_insert((0, 0, None));
                    *all_rows = all_rows.saturating_add(number(*rows));
                    *all_bytes = all_bytes.saturating_add(number(*bytes));
                }
            }
        }
        if course.is_busy || self.hands == Hands::Off {
            return;
        }
        for (name, phase) in seen.leaving.iter_mut().filter(|(_, phase)| **phase == ShardPhase::Leaving) {
            if census.is_empty(name) && seen.is_whole {
                tracing::info!(shard = name, "all slots have left the shard");
                *phase = ShardPhase::Released;
                validated.fleet.served.remove(name);
                validated.fleet.released.insert(name.clone());
            }
        }
    }

    /// What is to be said where nothing moves.
    fn at_rest(&self, seen: &ShardsSeen, mode: ShardRebalancingMode) -> Option<(&'static str, String)> {
        let left: Vec<&str> = seen.leaving.keys().map(String::as_str).collect();
        let would_move = self.context.memory.would_move(self.key).filter(|slots| *slots > 0);
        let off = mode == ShardRebalancingMode::Off;
        match would_move {
            Some(slots) if off => {
                let message = format!(
                    "{slots} slots would have to move, and spec.database.rebalance.mode is Off; run: kubectl chat rebalance plan {}",
                    self.key.name
                );
                Some(("Unbalanced", message))
            }
            _ if !left.is_empty() => Some(("ShardsLeaving", format!("on the way out: {}", left.join(", ")))),
            _ => None,
        }
    }

    /// A ShardRebalance for the shards as the spec has them now. Its name tells of which generation, and the how manieth.
    fn new_object(&self, objects: &[ShardRebalance]) -> ShardRebalance {
        let generation = self.fetched.cluster.metadata.generation.unwrap_or_default();
        let taken: BTreeSet<String> = objects.iter().map(|object| object.name_any()).collect();
        let stem = format!("{}-g{generation}", self.key.name);
        let nth = (2u32..).map(|nth| format!("{stem}-{nth}"));
        let name = std::iter::once(stem.clone()).chain(nth).find(|name| !taken.contains(name)).unwrap_or(stem);
        let spec = ShardRebalanceSpec {
            cluster_ref: chat_crds::shard_rebalance::ClusterRef { name: self.key.name.clone() },
            moves: None,
            approved_plan: None,
            paused: None,
            abort: None,
        };
        ShardRebalance { metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() }, spec, status: None }
    }
}

/// The Job of a mover, if it exists.
fn job(cluster: &ValidatedCluster, live: &Live, wanted: &Wanted, migration: &str) -> Option<MoverJob> {
    let name = mover_name(cluster, wanted, migration);
    let job: Job = live.typed(Kind::Job, &name)?;
    Some(observed::mover(&job, &live.pods))
}

/// Movers of no ShardRebalance, by name, and how they are. Those with the configuration of an earlier migration are not among them: it goes, and
/// their next pod would wait for it for ever.
fn tidiers(live: &Live, migration: &str) -> Vec<(String, MoverJob)> {
    let is_tidier = |labels: &BTreeMap<String, String>| is_mover(labels) && !labels.contains_key(label::REBALANCE);
    let is_current = |job: &Job| {
        let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let mut volumes = pod.into_iter().flat_map(|pod| pod.volumes.iter().flatten());
        volumes.any(|volume| volume.config_map.as_ref().is_some_and(|config| config.name == migration))
    };
    let jobs = live.all_typed::<Job>(Kind::Job).into_iter();
    let jobs = jobs.filter(|job| is_tidier(job.labels()) && is_current(job));
    jobs.map(|job| (job.name_any(), observed::mover(&job, &live.pods))).collect()
}

fn is_mover(labels: &BTreeMap<String, String>) -> bool {
    labels.get(label::COMPONENT).is_some_and(|component| component == Component::Mover.label())
}

/// ShardRebalances with pods of movers that have not ended.
fn mover_pods(live: &Live) -> BTreeSet<String> {
    let runs = |phase: Option<&str>| !matches!(phase, Some("Succeeded" | "Failed"));
    let pods = live
        .pods
        .iter()
        .filter(|pod| is_mover(pod.labels()) && runs(pod.status.as_ref().and_then(|status| status.phase.as_deref())));
    pods.filter_map(|pod| pod.labels().get(label::REBALANCE).cloned()).collect()
}
