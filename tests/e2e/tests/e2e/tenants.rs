//! Two ChatClusters of one name in two namespaces, for the same people's names: nothing of one is any use at the other. User ids follow from names, and ids
//! of direct rooms from those, so that both have them in common, and only keys and data tell them apart.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use chat_test_client::{
    Account, Addresses, Client, ClientConfig, HistoryRange, Ledger, RequestError,
    accounts::{self, AccountError},
    socket::greet,
    wire::{Body, Room},
};
use e2e::{ChatCluster, World, children::CLUSTER_LABEL};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::{
    network_policies::{COMPONENT, Party, Rules, matches, parties},
    secrecy::credentials,
    shared::{own, shared},
};

const NAMESPACE: &str = "e2e-tenant";
/// That of the shared cluster.
const NAME: &str = "demo";
const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(60);

/// Every port that anything of a ChatCluster listens on.
const PORTS: [(&str, &[i32]); 4] =
    [("gateway", &[8080, 8081]), ("broker", &[5672]), ("cache", &[6379]), ("database", &[5432, 8080])];
/// Clients come from anywhere.
const FOR_CLIENTS: (&str, i32) = ("gateway", 8080);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn what_belongs_to_one_tenant_is_no_use_to_another() -> Result<()> {
    let (namespace, one) = own(NAMESPACE, NAME).await?;
    let other = shared().await?;
    ensure!(one.name == other.name, "the shared cluster has another name: {}", other.name);

    let unique = &uuid::Uuid::new_v4().simple().to_string()[..12];
    let (here, there) = (Tenant::furnish(&one, unique).await?, Tenant::furnish(&other, unique).await?);
    ensure!(
        here.ann.user.id == there.ann.user.id,
        "the same names are different ids: the test shows less than it could"
    );
    ensure!(here.direct.id == there.direct.id, "the same pair's rooms have different ids");
    for (own, stranger) in [(&here, &there), (&there, &here)] {
        own.refuses_tokens_of(stranger).await?;
        own.knows_nothing_of(stranger).await?;
    }

    let (ours, theirs) = (credentials(&one).await?, credentials(&other).await?);
    let values = |list: Vec<(String, String)>| list.into_iter().map(|(_, value)| value).collect::<BTreeSet<String>>();
    let titles: Vec<String> = ours.iter().map(|(title, _)| title.clone()).collect();
    let (ours, theirs) = (values(ours), values(theirs));
    ensure!(!ours.is_empty() && ours.is_disjoint(&theirs), "the tenants share one of {titles:?}");

    no_way_between(&one, &other).await?;
    no_way_between(&other, &one).await?;
    no_rights_of_pods(&one, &other).await?;
    namespace.discard().await
}

/// A cluster with two people in it, who talk in a group and to each other.
struct Tenant {
    gateway: String,
    ann: Account,
    device: Client,
    group: Room,
    direct: Room,
    secret: String,
}

impl Tenant {
    async fn furnish(cluster: &ChatCluster, unique: &str) -> Result<Self> {
        let gateway = cluster.gateway_addresses().await?.pop().context("no gateway is ready")?;
        let addresses = Addresses::new(vec![gateway.clone()]);
        let ann = accounts::enter(&addresses, &format!("ann-{unique}"), PASSWORD, PATIENCE).await?;
        let bob = accounts::enter(&addresses, &format!("bob-{unique}"), PASSWORD, PATIENCE).await?;
        let device = Client::start(ClientConfig::new(ann.clone(), addresses, Ledger::new())).await?;
        let group = device.create_room("group", "ours", std::slice::from_ref(&bob.user.name)).await?;
        let direct = device.create_room("direct", "", std::slice::from_ref(&bob.user.name)).await?;
        let secret = format!("only {} knows", cluster.namespace);
        for room in [&group, &direct] {
            device.send(room.id, &secret).await?;
        }
        Ok(Self { gateway, ann, device, group, direct, secret })
    }

    /// The tokens of somebody with the same name and id elsewhere.
    async fn refuses_tokens_of(&self, stranger: &Self) -> Result<()> {
        let (answer, code) = greet(&self.gateway, &stranger.ann.token).await?;
        let refused = matches!(&answer, Body::Error(refusal) if refusal.code == "unauthenticated");
        ensure!(refused && code == Some(4401), "a stranger's token: {answer:?}, {code:?}");
        match accounts::refresh(&self.gateway, &stranger.ann).await {
            Err(AccountError::Refused { status: 401, .. }) => {}
            other => bail!("a stranger's refresh token: {other:?}"),
        }
        // The counter-check: the gateway takes its own.
        let (answer, _) = greet(&self.gateway, &self.ann.token).await?;
        ensure!(matches!(answer, Body::Welcome(_)), "its own token: {answer:?}");
        Ok(())
    }

    /// Rooms and texts of a stranger.
    async fn knows_nothing_of(&self, stranger: &Self) -> Result<()> {
        match self.device.history(stranger.group.id, HistoryRange::Newest).await {
            Err(RequestError::Refused(refusal)) if refusal.code == "not_found" => {}
            other => bail!("a stranger's room: {other:?}"),
        }
        let (messages, _) = self.device.history(self.direct.id, HistoryRange::Newest).await?;
        let bodies = serde_json::to_string(&messages.iter().map(|message| format!("{message:?}")).collect::<Vec<_>>())?;
        ensure!(bodies.contains(&self.secret) && !bodies.contains(&stranger.secret), "in the pair's room: {bodies}");
        let (answer, _) = greet(&self.gateway, &self.ann.token).await?;
        let Body::Welcome(welcome) = answer else { bail!("not welcome: {answer:?}") };
        let rooms: BTreeSet<_> = welcome.rooms.iter().map(|room| room.id).collect();
        ensure!(rooms == BTreeSet::from([self.group.id, self.direct.id]), "rooms of {}: {rooms:?}", self.ann.user.name);
        Ok(())
    }
}

/// The policies of `one` select its pods and nobody else's, and let nobody of `other` in but as a client.
async fn no_way_between(one: &ChatCluster, other: &ChatCluster) -> Result<()> {
    let client = &one.world.client;
    let rules = Rules::read(client, &one.namespace).await?;
    ensure!(!rules.policies.is_empty(), "no policy in {}", one.namespace);
    let neighbour = Party {
        namespace: one.namespace.clone(),
        labels: [(CLUSTER_LABEL.to_owned(), "another".to_owned()), (COMPONENT.to_owned(), "gateway".to_owned())].into(),
    };
    for policy in &rules.policies {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        ensure!(selector.is_some(), "{} selects every pod", policy.name_any());
        ensure!(!matches(selector, &neighbour.labels)?, "{} selects pods of another cluster", policy.name_any());
        ensure!(!matches(selector, &[].into())?, "{} selects pods of nobody", policy.name_any());
    }
    let pods: Vec<Party> = parties(client, &one.namespace).await?;
    let strangers = parties(client, &other.namespace).await?;
    for (component, ports) in PORTS {
        let targets: Vec<&Party> =
            pods.iter().filter(|pod| pod.labels.get(COMPONENT).is_some_and(|own| own == component)).collect();
        ensure!(!targets.is_empty(), "no pod of {component} in {}", one.namespace);
        for (target, &port) in targets.iter().flat_map(|target| ports.iter().map(move |port| (target, port))) {
            for stranger in &strangers {
                let allowed = rules.allow(stranger, target, port)?;
                let expected = (component, port) == FOR_CLIENTS;
                ensure!(allowed == expected, "{stranger:?} may connect to {component}:{port}: {allowed}");
            }
        }
    }
    Ok(())
}

/// No pod of a ChatCluster may ask the API server for Secrets, be it of its own namespace.
async fn no_rights_of_pods(one: &ChatCluster, other: &ChatCluster) -> Result<()> {
    let api: Api<ServiceAccount> = Api::namespaced(one.world.client.clone(), &one.namespace);
    let accounts = api.list(&ListParams::default().labels(&format!("{CLUSTER_LABEL}={}", one.name))).await?;
    ensure!(!accounts.items.is_empty(), "the pods of {} have no service account of their own", one.namespace);
    for account in accounts {
        let account = format!("system:serviceaccount:{}:{}", one.namespace, account.name_any());
        for namespace in [&one.namespace, &other.namespace] {
            ensure!(!may(&one.world, &account, "get secrets", namespace).await?, "{account} may read in {namespace}");
        }
    }
    Ok(())
}

/// Whether a user has a right in a namespace, as `kubectl auth can-i` has it; `what` is a verb and a resource.
pub(crate) async fn may(world: &World, user: &str, what: &str, namespace: &str) -> Result<bool> {
    let user = format!("--as={user}");
    let mut args = vec!["auth", "can-i"];
    args.extend(what.split(' '));
    args.extend([user.as_str(), "--namespace", namespace]);
    let printed = world.kubectl_any(&args, None).await?;
    match printed.out.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => bail!("kubectl {}: {other}{}", args.join(" "), printed.err),
    }
}
