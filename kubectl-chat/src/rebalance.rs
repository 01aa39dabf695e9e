//! Moves of slots between shards.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use chat_crds::{
    ShardRebalance, ShardRebalanceSpec,
    shard_rebalance::{ClusterRef, MoveRequest, RebalanceState},
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    args::{Output, Rebalance},
    gateway::{Gateways, MANAGER},
    view,
};

const POLL: Duration = Duration::from_secs(1);
/// Counting what shards hold may take a while.
const PLANNED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(gateways: &Gateways, command: Rebalance) -> Result<()> {
    let desk = Desk { api: Api::namespaced(gateways.client.clone(), &gateways.namespace), gateways };
    match command {
        Rebalance::Plan { cluster, slots, to, output } => desk.plan(&cluster, slots.zip(to), output).await,
        Rebalance::Approve { name, plan } => desk.approve(&name, plan).await,
        Rebalance::Pause { name } => {
            desk.change(&name, json!({ "paused": true })).await?;
            println!("{name} is paused; kubectl chat rebalance resume {name} lets it go on");
            Ok(())
        }
        Rebalance::Resume { name } => {
            desk.change(&name, json!({ "paused": null })).await?;
            println!("{name} goes on");
            Ok(())
        }
        Rebalance::Abort { name } => {
            desk.change(&name, json!({ "abort": true })).await?;
            println!("{name} gives up what has not moved; kubectl chat rebalance watch {name} shows how it ends");
            Ok(())
        }
        Rebalance::Watch { name, output } => desk.watch(&name, output).await,
    }
}

struct Desk<'a> {
    api: Api<ShardRebalance>,
    gateways: &'a Gateways,
}

impl Desk<'_> {
    async fn get(&self, name: &str) -> Result<ShardRebalance> {
        let namespace = &self.gateways.namespace;
        let found = self.api.get_opt(name).await.with_context(|| format!("ShardRebalance {name} cannot be read"))?;
        found.with_context(|| format!("there is no ShardRebalance {name} in namespace {namespace}; kubectl get shardrebalances -n {namespace} lists them"))
    }

    /// Makes one that is paused, so that nothing moves before somebody has read the plan.
    async fn plan(&self, cluster: &str, request: Option<(String, String)>, output: Output) -> Result<()> {
        self.gateways.cluster(cluster).await?;
        let spec = ShardRebalanceSpec {
            cluster_ref: ClusterRef { name: cluster.to_owned() },
            moves: request.map(|(slots, to)| vec![MoveRequest { slots, to }]),
            approved_plan: None,
            paused: Some(true),
            abort: None,
        };
        let mut object = ShardRebalance::new("", spec);
        object.metadata.name = None;
        object.metadata.generate_name = Some(format!("{cluster}-"));
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let made = self.api.create(&params, &object).await.context("the ShardRebalance cannot be made")?;
        let name = made.name_any();
        let end = Instant::now() + PLANNED_WITHIN;
        loop {
            let object = self.get(&name).await?;
            let state = RebalanceState::of(object.status.as_ref());
            if object.status.as_ref().is_some_and(|status| status.plan.is_some()) || state.is_over() {
                match output {
                    Output::Json => println!("{}", json!(object)),
                    Output::Table => print!("{}", view::plan(&object)),
                }
                ensure!(state != RebalanceState::Failed, "nothing can be planned; see above");
                return Ok(());
            }
            let why = view::message(&object);
            ensure!(
                !matches!(state, RebalanceState::ClusterNotFound | RebalanceState::NotSharded),
                "nothing can be planned: {why}"
            );
            ensure!(
                Instant::now() < end,
                "{name} has no plan yet: {why}; kubectl chat rebalance watch {name} goes on looking"
            );
            sleep(POLL).await;
        }
    }

    async fn approve(&self, name: &str, plan: Option<String>) -> Result<()> {
        let object = self.get(name).await?;
        let Some(hash) = object.status.as_ref().and_then(|status| status.plan.as_ref()).map(|plan| plan.hash.clone())
        else {
            bail!("{name} has no plan that could be approved: {}", view::message(&object));
        };
        if let Some(read) = plan.filter(|read| *read != hash) {
            bail!(
                "the plan of {name} is {hash}, not {read}; read it with kubectl chat rebalance watch {name}, then approve of that one"
            );
        }
        self.change(name, json!({ "approvedPlan": hash, "paused": null })).await?;
        println!("plan {hash} of {name} is approved; kubectl chat rebalance watch {name} shows how far it is");
        Ok(())
    }

    async fn change(&self, name: &str, spec: Value) -> Result<()> {
        let object = self.get(name).await?;
        let state = RebalanceState::of(object.status.as_ref());
        ensure!(!state.is_over(), "{name} is over already: {}", state.as_str());
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.api.patch(name, &params, &Patch::Merge(json!({ "spec": spec }))).await;
        patched.with_context(|| format!("ShardRebalance {name} cannot be changed; the right to patch it is needed"))?;
        Ok(())
    }

    async fn watch(&self, name: &str, output: Output) -> Result<()> {
        let mut said = String::new();
        let mut lines = 0;
        let repaints = std::io::stdout().is_terminal();
        loop {
            let object = self.get(name).await?;
            let text = match output {
                Output::Json => format!("{}\n", json!({ "name": name, "status": object.status })),
                Output::Table => view::progress(&object),
            };
            if text != said {
                if output == Output::Table && repaints && lines > 0 {
                    // Up to the first line of what was said before, and everything below it away.
                    print!("\x1b[{lines}A\x1b[J");
                }
                print!("{text}");
                std::io::stdout().flush()?;
                (lines, said) = (text.lines().count(), text);
            }
            let state = RebalanceState::of(object.status.as_ref());
            if state.is_over() {
                let good =
                    matches!(state, RebalanceState::Completed | RebalanceState::Superseded | RebalanceState::Aborted);
                ensure!(good, "{name} failed: {}", view::message(&object));
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
}
