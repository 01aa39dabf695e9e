//! The set of children and its stages. A stage is a type, so that status cannot be computed from objects that were
//! never applied.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Resource,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde::Serialize;

/// Kinds of children, in the order in which they are applied: what pods read comes before the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` ServiceAccount.
    ServiceAccount,
    /// `v1` Secret.
    Secret,
    /// `v1` ConfigMap.
    ConfigMap,
    /// `v1` PersistentVolumeClaim.
    PersistentVolumeClaim,
    /// `v1` Service.
    Service,
    /// `networking.k8s.io/v1` NetworkPolicy.
    NetworkPolicy,
    /// `policy/v1` PodDisruptionBudget.
    PodDisruptionBudget,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `batch/v1` Job.
    Job,
    /// `batch/v1` CronJob.
    CronJob,
    /// `apps/v1` Deployment.
    Deployment,
    /// `networking.k8s.io/v1` Ingress.
    Ingress,
    /// `gateway.networking.k8s.io/v1` HTTPRoute, which not every Kubernetes has.
    HttpRoute,
}

impl Kind {
    /// All kinds, in the order of application.
    pub const ALL: [Self; 13] = [
        Self::ServiceAccount,
        Self::Secret,
        Self::ConfigMap,
        Self::PersistentVolumeClaim,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::StatefulSet,
        Self::Job,
        Self::CronJob,
        Self::Deployment,
        Self::Ingress,
        Self::HttpRoute,
    ];

    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Deployment => "Deployment",
            Self::Ingress => "Ingress",
            Self::HttpRoute => "HTTPRoute",
        }
    }

    /// Where the API server serves the kind.
    #[must_use]
    pub fn api_resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::PersistentVolumeClaim => ApiResource::erase::<PersistentVolumeClaim>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            Self::Job => ApiResource::erase::<Job>(&()),
            Self::CronJob => ApiResource::erase::<CronJob>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::Ingress => ApiResource::erase::<Ingress>(&()),
            Self::HttpRoute => {
                ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"))
            }
        }
    }

    /// Whether an API server may not serve the kind at all.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::HttpRoute)
    }
}

/// Kind and name of a child.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId {
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: String,
}

impl ChildId {
    /// The child `kind` `name`.
    #[must_use]
    pub fn new(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// A child as it should be.
#[derive(Clone)]
pub struct Child {
    /// Kind and name.
    pub id: ChildId,
    /// The object.
    pub object: DynamicObject,
}

impl fmt::Debug for Child {
    // Never the content: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.id)
    }
}

/// The children of one cluster, at the stage `S`: [`Prepared`], or applied.
pub struct Resources<S> {
    /// See the kind.
    pub service_accounts: Vec<ServiceAccount>,
    /// See the kind.
    pub secrets: Vec<Secret>,
    /// See the kind.
    pub config_maps: Vec<ConfigMap>,
    /// See the kind. Those of StatefulSets are not among them: their controller makes them.
    pub persistent_volume_claims: Vec<PersistentVolumeClaim>,
    /// See the kind.
    pub services: Vec<Service>,
    /// See the kind.
    pub network_policies: Vec<NetworkPolicy>,
    /// See the kind.
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    /// See the kind.
    pub stateful_sets: Vec<StatefulSet>,
    /// See the kind.
    pub jobs: Vec<Job>,
    /// See the kind.
    pub cron_jobs: Vec<CronJob>,
    /// See the kind.
    pub deployments: Vec<Deployment>,
    /// See the kind.
    pub ingresses: Vec<Ingress>,
    /// See the kind.
    pub http_routes: Vec<DynamicObject>,
    /// Children that are neither applied nor pruned now, whether they exist or not.
    pub held: BTreeSet<ChildId>,
    /// What the stage knows.
    pub stage: S,
}

/// Built, not yet written.
#[derive(Clone, Copy, Debug)]
pub struct Prepared;

impl<S> fmt::Debug for Resources<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").field("held", &self.held).finish_non_exhaustive()
    }
}

impl<S> Resources<S> {
    /// All children in the order of application.
    ///
    /// # Errors
    /// When an object cannot be written as JSON.
    pub fn children(&self) -> serde_json::Result<Vec<Child>> {
        // No rest pattern: a new kind of child must not be forgotten here.
        let Self {
            service_accounts,
            secrets,
            config_maps,
            persistent_volume_claims,
            services,
            network_policies,
            pod_disruption_budgets,
            stateful_sets,
            jobs,
            cron_jobs,
            deployments,
            ingresses,
            http_routes,
            held: _,
            stage: _,
        } = self;
        let mut children = Vec::new();
        push_all(&mut children, Kind::ServiceAccount, service_accounts)?;
        push_all(&mut children, Kind::Secret, secrets)?;
        push_all(&mut children, Kind::ConfigMap, config_maps)?;
        push_all(&mut children, Kind::PersistentVolumeClaim, persistent_volume_claims)?;
        push_all(&mut children, Kind::Service, services)?;
        push_all(&mut children, Kind::NetworkPolicy, network_policies)?;
        push_all(&mut children, Kind::PodDisruptionBudget, pod_disruption_budgets)?;
        push_all(&mut children, Kind::StatefulSet, stateful_sets)?;
        push_all(&mut children, Kind::Job, jobs)?;
        push_all(&mut children, Kind::CronJob, cron_jobs)?;
        // Last: a gateway that starts finds everything it needs.
        push_all(&mut children, Kind::Deployment, deployments)?;
        push_all(&mut children, Kind::Ingress, ingresses)?;
        push_all(&mut children, Kind::HttpRoute, http_routes)?;
        Ok(children)
    }

    /// The same children at another stage.
    pub(crate) fn at_stage<T>(self, stage: T) -> Resources<T> {
        Resources {
            service_accounts: self.service_accounts,
            secrets: self.secrets,
            config_maps: self.config_maps,
            persistent_volume_claims: self.persistent_volume_claims,
            services: self.services,
            network_policies: self.network_policies,
            pod_disruption_budgets: self.pod_disruption_budgets,
            stateful_sets: self.stateful_sets,
            jobs: self.jobs,
            cron_jobs: self.cron_jobs,
            deployments: self.deployments,
            ingresses: self.ingresses,
            http_routes: self.http_routes,
            held: self.held,
            stage,
        }
    }
}

fn push_all<K>(children: &mut Vec<Child>, kind: Kind, objects: &[K]) -> serde_json::Result<()>
where
    K: Resource + Serialize,
{
    for object in objects {
        let name = object.meta().name.clone().unwrap_or_default();
        let object: DynamicObject = serde_json::from_value(serde_json::to_value(object)?)?;
        children.push(Child { id: ChildId { kind, name }, object });
    }
    Ok(())
}
