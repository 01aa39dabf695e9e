//! Pods of gateways, and the ChatClusters that they belong to.

use anyhow::{Context as _, Result, bail};
use chat_crds::{
    ChatCluster,
    keys::{annotation, label},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams},
    config::KubeConfigOptions,
};
use serde_json::{Value, json};

use crate::args::Place;

/// The field manager of what this program writes.
pub(crate) const MANAGER: &str = "kubectl-chat";

/// The gateways of a namespace.
pub(crate) struct Gateways {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Gateways {
    /// Reads the kubeconfig as kubectl does.
    pub(crate) async fn connect(Place { namespace, context }: Place) -> Result<Self> {
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let config = Config::from_kubeconfig(&options).await.context("the kubeconfig cannot be used")?;
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        Ok(Self { client: Client::try_from(config)?, namespace })
    }

    /// The pod; `None` when it is gone.
    pub(crate) async fn find(&self, pod: &str) -> Result<Option<Pod>> {
        self.pods()
            .get_opt(pod)
            .await
            .with_context(|| format!("pod {pod} in namespace {} cannot be read", self.namespace))
    }

    /// The pod of a gateway, and its ChatCluster. Others are refused.
    pub(crate) async fn get(&self, pod: &str) -> Result<(Pod, ChatCluster)> {
        let namespace = &self.namespace;
        let Some(found) = self.find(pod).await? else {
            bail!("there is no pod {pod} in namespace {namespace}; {}", self.list());
        };
        let labels = found.labels();
        let is_gateway = labels.get(label::COMPONENT).is_some_and(|value| value == label::GATEWAY);
        let Some(cluster) = labels.get(label::CLUSTER).filter(|_| is_gateway) else {
            bail!("pod {pod} is no gateway of a ChatCluster; {}", self.list());
        };
        let cluster = self.cluster(cluster).await?;
        Ok((found, cluster))
    }

    /// The ChatCluster.
    pub(crate) async fn cluster(&self, name: &str) -> Result<ChatCluster> {
        let clusters: Api<ChatCluster> = Api::namespaced(self.client.clone(), &self.namespace);
        let namespace = &self.namespace;
        let found = clusters.get_opt(name).await.with_context(|| format!("ChatCluster {name} cannot be read"))?;
        found.with_context(|| format!("there is no ChatCluster {name} in namespace {namespace}; kubectl get chatclusters -n {namespace} lists them"))
    }

    /// Sets annotations, or removes those that are null.
    pub(crate) async fn annotate(&self, pod: &str, annotations: Value) -> Result<()> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = json!({ "metadata": { "annotations": annotations } });
        self.pods()
            .patch(pod, &params, &Patch::Merge(patch))
            .await
            .with_context(|| format!("pod {pod} cannot be annotated; the right to patch pods is needed"))?;
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn list(&self) -> String {
        format!("kubectl get pods -n {} -l {}={} lists them", self.namespace, label::COMPONENT, label::GATEWAY)
    }
}

/// What the API server says, without the object that it says it in.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether it is being emptied.
pub(crate) fn is_emptied(pod: &Pod) -> bool {
    pod.annotations().contains_key(annotation::DRAINING)
}
