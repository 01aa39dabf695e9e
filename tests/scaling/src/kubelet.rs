//! Plays the node of all pods: gives each a place, starts it after its time, tells whether it is ready, and lets it go.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use chat_crds::keys::label;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::{
    gateway::{Stub, listen},
    world::World,
};

/// Between two probes of a gateway; two of them in a row must fail before it is not ready any more.
const PROBE: Duration = Duration::from_secs(2);
const FAILURES: u32 = 2;
/// Between the end of a gateway's process and that of its pod.
const CLEAN_UP: Duration = Duration::from_secs(1);
/// Tries of a write.
const TRIES: u32 = 10;
/// The node that pods are said to be on.
const NODE: &str = "simulated";

/// The node of all pods.
pub(crate) struct Kubelet {
    pub(crate) client: Client,
    pub(crate) world: Arc<World>,
    /// Second octet of the pods' addresses.
    pub(crate) network: u8,
    /// Gateways that were started.
    numbers: AtomicU32,
}

/// Other pods, such as a migration's, serve nobody.
fn is_gateway(pod: &Pod) -> bool {
    pod.labels().get(label::COMPONENT).map(String::as_str) == Some(label::GATEWAY)
}

impl Kubelet {
    pub(crate) fn new(client: Client, world: Arc<World>, network: u8) -> Self {
        Self { client, world, network, numbers: AtomicU32::new(0) }
    }

    /// Plays until the task is ended.
    pub(crate) async fn run(self: Arc<Self>) {
        let components = format!("{} in ({},migration)", label::COMPONENT, label::GATEWAY);
        let pods = watcher(Api::<Pod>::all(self.client.clone()), watcher::Config::default().labels(&components));
        let mut events = std::pin::pin!(pods.default_backoff());
        let mut lives: HashMap<String, watch::Sender<bool>> = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => self.see(pod, &mut lives),
                Ok(watcher::Event::Delete(pod)) => {
                    // Gone without a farewell: its life ends with the sender.
                    lives.remove(&pod.uid().unwrap_or_default());
                    self.forget(&pod, true);
                }
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Err(error) => eprintln!("the watch of pods ended, and begins again: {error}"),
            }
        }
    }

    fn see(self: &Arc<Self>, pod: Pod, lives: &mut HashMap<String, watch::Sender<bool>>) {
        let ends = pod.metadata.deletion_timestamp.is_some();
        if ends {
            self.world.with(&pod.namespace().unwrap_or_default(), |side| side.pods.remove(&pod.name_any()));
        }
        if let Some(life) = lives.get(&pod.uid().unwrap_or_default()) {
            // An error means that the life has ended by itself.
            life.send_if_modified(|ending| ends && !std::mem::replace(ending, true));
            return;
        }
        let (sender, ending) = watch::channel(ends);
        lives.insert(pod.uid().unwrap_or_default(), sender);
        if is_gateway(&pod) {
            self.world.with(&pod.namespace().unwrap_or_default(), |side| side.pods.insert(pod.name_any()));
        }
        let kubelet = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = kubelet.live(&pod, ending).await {
                eprintln!("pod {}: {error:#}", pod.name_any());
            }
        });
    }

    fn forget(&self, pod: &Pod, planned: bool) {
        self.world.with(&pod.namespace().unwrap_or_default(), |side| {
            side.pods.remove(&pod.name_any());
            side.fleet.end(&pod.name_any(), planned);
        });
    }

    async fn live(&self, pod: &Pod, mut ending: watch::Receiver<bool>) -> Result<()> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        self.bind(&api, &name).await?;
        let container =
            pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.clone()).next();
        let container = container.unwrap_or_default();
        if !is_gateway(pod) {
            return write_status(&api, &name, &succeeded(&container)).await;
        }
        tokio::select! {
            () = sleep(self.world.start(&namespace)) => {}
            () = ended(&mut ending) => return self.end(&api, pod).await,
        }
        let (address, listener) = listen(self.network, self.numbers.fetch_add(1, Relaxed)).await?;
        let cordoned = AtomicBool::new(false);
        let stub = Arc::new(Stub {
            namespace,
            name: name.clone(),
            world: Arc::clone(&self.world),
            cordoned,
            delivered: Default::default(),
        });
        let serving = tokio::spawn(Arc::clone(&stub).serve(listener));
        let lived = self.serve(&api, &stub, (&container, &address.ip().to_string()), &mut ending).await;
        serving.abort();
        lived?;
        self.end(&api, pod).await
    }

    /// Probes the gateway until its pod is deleted.
    async fn serve(
        &self,
        api: &Api<Pod>,
        stub: &Stub,
        (container, address): (&str, &str),
        ending: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let (mut ready, mut failures) = (false, 0);
        loop {
            failures = if stub.cordoned.load(Relaxed) { failures + 1 } else { 0 };
            let is_ready = failures == 0 || (ready && failures < FAILURES);
            if is_ready != ready {
                write_status(api, &stub.name, &running(container, address, is_ready)).await?;
                self.world.with(&stub.namespace, |side| side.fleet.set_ready(&stub.name, is_ready));
                ready = is_ready;
            }
            tokio::select! {
                () = sleep(PROBE) => {}
                () = ended(ending) => return Ok(()),
            }
        }
    }

    /// The process ends, with all its connections, and then the pod.
    async fn end(&self, api: &Api<Pod>, pod: &Pod) -> Result<()> {
        self.forget(pod, true);
        sleep(CLEAN_UP).await;
        retry(|| async { api.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.map(drop) })
            .await
            .context("failed to remove it")
    }

    async fn bind(&self, api: &Api<Pod>, name: &str) -> Result<()> {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": { "name": name },
            "target": { "apiVersion": "v1", "kind": "Node", "name": NODE },
        });
        let bound = retry(|| async {
            match api.create_subresource::<Value, Value>("binding", name, &PostParams::default(), &binding).await {
                // Bound by a run before this one.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                result => result.map(drop),
            }
        });
        bound.await.context("failed to give it a node")
    }
}

/// Waits until the pod is being deleted, or gone.
async fn ended(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ending| *ending).await);
}

async fn write_status(api: &Api<Pod>, name: &str, status: &Value) -> Result<()> {
    let patch = json!({ "status": status });
    retry(|| async { api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop) })
        .await
        .context("failed to write its status")
}

/// Tries again for a while; a pod that is gone is what anybody could wish for.
async fn retry<F: Future<Output = kube::Result<()>>>(attempt: impl Fn() -> F) -> Result<()> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Ok(()) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(error) if tries == TRIES => return Err(error.into()),
            Err(_) => tries += 1,
        }
        sleep(Duration::from_millis(100) * tries).await;
    }
}

fn conditions(ready: bool) -> Value {
    let now = Timestamp::now().to_string();
    let condition = |kind: &str, status: bool| {
        let status = if status { "True" } else { "False" };
        json!({ "type": kind, "status": status, "lastTransitionTime": now })
    };
    json!([
        condition("PodScheduled", true),
        condition("Initialized", true),
        condition("ContainersReady", ready),
        condition("Ready", ready),
    ])
}

fn running(container: &str, address: &str, ready: bool) -> Value {
    json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "startTime": Timestamp::now().to_string(),
        "conditions": conditions(ready),
        "containerStatuses": [{
            "name": container, "image": "simulated", "imageID": "simulated", "ready": ready, "started": true, "restartCount": 0,
            "state": { "running": { "startedAt": Timestamp::now().to_string() } },
        }],
    })
}

fn succeeded(container: &str) -> Value {
    let now = Timestamp::now().to_string();
    json!({
        "phase": "Succeeded",
        "startTime": now,
        "conditions": conditions(false),
        "containerStatuses": [{
            "name": container, "image": "simulated", "imageID": "simulated", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now } },
        }],
    })
}
