//! Loops as Flux and Argo CD run them: they apply what a repository says again and again, look for drift, and tell by kstatus and by a health script
//! whether it is rolled out. Neither ever sees drift, or calls a generation done that is not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::summary,
    manifest,
    wait::{Seen, until},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use localkube::{ArgoCdHealth, Health, Judgement, Kstatus};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    life::{DELETE_LIMIT, wait_remains},
    shared::{SETTLE_LIMIT, observed_deployment, turn},
};

const NAMESPACE: &str = "e2e-gitops";
/// How often the spec changes.
const CHANGES: i32 = 10;
/// A loop applies again after this time, whether anything changed or not.
const AGAIN: Duration = Duration::from_secs(2);
/// Where Argo CD without server-side apply, and kubectl, keep what was applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A tool that keeps a ChatCluster as a repository says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    /// Server-side apply by kustomize-controller; health by kstatus.
    Flux,
    /// `kubectl apply` by argocd-controller at first, as it does by default, and server-side apply later, as people switch to; health by its script.
    ArgoCd,
}

/// A verdict on an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Going,
    Broken,
}

struct Loop {
    tool: Tool,
    cluster: ChatCluster,
    desired: Value,
    kstatus: Kstatus,
    argo_cd: ArgoCdHealth,
    script: String,
    turn: i32,
}

impl Loop {
    async fn start(tool: Tool, world: &World, namespace: &str) -> Result<Self> {
        let name = match tool {
            Tool::Flux => "by-flux",
            Tool::ArgoCd => "by-argocd",
        };
        let mut desired = manifest::smallest(name);
        desired["metadata"]["namespace"] = namespace.into();
        desired["metadata"]["labels"] = json!({ "app.kubernetes.io/instance": name });
        // Without RabbitMQ there are fewer pods to wait for.
        desired["spec"]["broker"] = json!({ "redisPubSub": {} });
        desired["spec"]["gateways"]["rollout"] = json!({ "waves": [100], "analysisSeconds": 1 });
        let progress = |line: &str| println!("{line}");
        let one = Self {
            tool,
            cluster: ChatCluster { world: world.clone(), namespace: namespace.to_owned(), name: name.to_owned() },
            desired,
            kstatus: Kstatus::build(&progress)?,
            argo_cd: ArgoCdHealth::build(&progress)?,
            script: manifest::argo_cd_script("ChatCluster")?,
            turn: 0,
        };
        one.apply().await?;
        Ok(one)
    }

    fn manager(&self) -> &'static str {
        match self.tool {
            Tool::Flux => "kustomize-controller",
            Tool::ArgoCd => "argocd-controller",
        }
    }

    fn is_server_side(&self) -> bool {
        self.tool == Tool::Flux || self.turn > CHANGES / 2
    }

    /// What a commit changes: how many gateways there are, and every third time what their pods look like.
    fn commit(&mut self) {
        self.turn += 1;
        let gateways = &mut self.desired["spec"]["gateways"];
        gateways["replicas"] = (1 + self.turn % 2).into();
        if self.turn % 3 == 0 {
            gateways["podTemplate"] = json!({ "annotations": { "example.com/turn": self.turn.to_string() } });
        }
    }

    async fn apply(&self) -> Result<()> {
        if self.is_server_side() {
            let params = PatchParams::apply(self.manager()).force();
            self.cluster.api().patch(&self.cluster.name, &params, &Patch::Apply(&self.desired)).await?;
            return Ok(());
        }
        let manager = format!("--field-manager={}", self.manager());
        let printed = self
            .cluster
            .world
            .kubectl_any(&["apply", "--validate=strict", &manager, "-f", "-"], Some(&self.desired.to_string()))
            .await?;
        ensure!(printed.success && printed.err.is_empty(), "kubectl apply: {}{}", printed.out, printed.err);
        Ok(())
    }

    /// What differs from the repository: by a server-side apply that is only tried, and for Argo CD also by comparing the two texts.
    async fn drift(&self, live: &DynamicObject) -> Result<Option<String>> {
        if self.is_server_side() {
            let params = PatchParams::apply(self.manager()).force().dry_run();
            let tried = self.cluster.api().patch(&self.cluster.name, &params, &Patch::Apply(&self.desired)).await?;
            if normal(&tried) != normal(live) {
                return Ok(Some(format!("live {:#}, and an apply makes {:#}", normal(live), normal(&tried))));
            }
        }
        if self.tool == Tool::ArgoCd {
            let text = serde_json::to_value(live)?;
            for field in ["/spec", "/metadata/labels"] {
                let of = |object: &Value| object.pointer(field).cloned().unwrap_or_default();
                if !covers(&of(&self.desired), &of(&text)) {
                    return Ok(Some(format!("{field} is {:#} of {:#}", of(&text), of(&self.desired))));
                }
            }
        }
        if !self.is_server_side() {
            let annotation = live.annotations().get(LAST_APPLIED).context("nothing was applied")?;
            let applied: Value = serde_json::from_str(annotation)?;
            if applied["spec"] != self.desired["spec"] {
                return Ok(Some(format!("last applied was {annotation}")));
            }
        }
        Ok(None)
    }

    fn verdict(&self, live: &DynamicObject) -> Result<Verdict> {
        let object = serde_json::to_value(live)?;
        Ok(match self.tool {
            Tool::Flux => match self.kstatus.compute(&[object])?[..] {
                [Judgement::Current] => Verdict::Done,
                [Judgement::InProgress] => Verdict::Going,
                _ => Verdict::Broken,
            },
            Tool::ArgoCd => match self.argo_cd.judge(&self.script, &[object])?[..] {
                [(Health::Healthy, _)] => Verdict::Done,
                [(Health::Progressing, _)] => Verdict::Going,
                _ => Verdict::Broken,
            },
        })
    }

    /// Rolled out is what the Deployment says, not what any status of ours does.
    async fn check_rolled_out(&self) -> Result<()> {
        let replicas = self.desired["spec"]["gateways"]["replicas"].as_i64();
        let deployment = observed_deployment(&self.cluster).await?;
        let spec = deployment.spec.context("no spec")?;
        let status = deployment.status.unwrap_or_default();
        for (what, count) in
            [("wanted", spec.replicas), ("there", status.replicas), ("of this revision", status.updated_replicas)]
        {
            ensure!(count.map(i64::from) == replicas, "{count:?} of {replicas:?} gateways are {what}");
        }
        let annotations = spec.template.metadata.and_then(|meta| meta.annotations).unwrap_or_default();
        let wanted = self.desired["spec"]["gateways"]["podTemplate"]["annotations"]["example.com/turn"].as_str();
        let turn = annotations.get("example.com/turn").map(String::as_str);
        ensure!(turn == wanted, "the pods are of turn {turn:?} and not of {wanted:?}");
        Ok(())
    }

    /// Looks and applies as the tool does until it calls the object done.
    async fn until_done(&self) -> Result<()> {
        let told = format!("{:?}, change {}", self.tool, self.turn);
        let next = std::cell::Cell::new(Instant::now() + AGAIN);
        until(format!("{told}: done"), SETTLE_LIMIT, || async {
            if Instant::now() >= next.get() {
                self.apply().await?;
                next.set(Instant::now() + AGAIN);
            }
            let live = self.cluster.get().await?;
            Ok(match (self.drift(&live).await?, self.verdict(&live)?) {
                (Some(drift), _) => Seen::Yes(Err(anyhow::anyhow!("{told}: drift: {drift}"))),
                (None, Verdict::Broken) => Seen::Yes(Err(anyhow::anyhow!("{told}: broken: {}", summary(&live)))),
                (None, Verdict::Going) => Seen::NotYet(summary(&live)),
                (None, Verdict::Done) => Seen::Yes(
                    self.check_rolled_out().await.with_context(|| format!("{told}: done, but {}", summary(&live))),
                ),
            })
        })
        .await?
    }

    async fn run(mut self) -> Result<()> {
        self.until_done().await?;
        for _ in 0..CHANGES {
            self.commit();
            let before = self.cluster.get().await?.metadata.generation;
            self.apply().await?;
            // At once, and not a moment later: what was done before is not done any more.
            let live = self.cluster.get().await?;
            ensure!(
                live.metadata.generation == before.map(|before| before + 1),
                "{:?}, change {}: generation went from {before:?} to {:?}",
                self.tool,
                self.turn,
                live.metadata.generation
            );
            self.until_done().await?;
        }
        self.cluster.check_spec_is_the_users().await?;
        self.end().await
    }

    /// Deletes it as the tools do when they prune, and sees that it is on its way out until it is gone.
    async fn end(&self) -> Result<()> {
        self.cluster.delete(&DeleteParams::foreground(), DELETE_LIMIT).await
    }
}

/// What a tool compares: no status, and nothing that the API server alone writes.
fn normal(object: &DynamicObject) -> Value {
    let metadata = &object.metadata;
    json!({
        "generation": metadata.generation,
        "labels": metadata.labels,
        "annotations": metadata.annotations,
        "finalizers": metadata.finalizers,
        "ownerReferences": metadata.owner_references,
        "spec": object.data["spec"],
    })
}

/// Whether `live` has all that `desired` has. What else it has are defaults of the definition, which lists do not have.
fn covers(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => {
            desired.iter().all(|(field, value)| live.get(field).is_some_and(|live| covers(value, live)))
        }
        (desired, live) => desired == live,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn gitops_loops_see_no_drift_and_nothing_done_that_is_not() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let flux = async { Loop::start(Tool::Flux, &world, &namespace.name).await?.run().await };
    let argo_cd = async { Loop::start(Tool::ArgoCd, &world, &namespace.name).await?.run().await };
    tokio::try_join!(flux, argo_cd)?;
    for name in ["by-flux", "by-argocd"] {
        let cluster = ChatCluster { world: world.clone(), namespace: namespace.name.clone(), name: name.to_owned() };
        wait_remains(&cluster, &["PersistentVolumeClaim", &format!("Secret/{name}-shard-a")]).await?;
    }
    namespace.discard().await
}
