//! An API server in trouble: the operator asks it seldom, says what it hears, changes nothing that runs, and goes on when it is well again. One whose memory is
//! older than the world is brought to where it was.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

#[path = "faults/admission.rs"]
mod admission;
#[path = "faults/leadership.rs"]
mod leadership;
#[path = "faults/leaving.rs"]
mod leaving;
#[path = "faults/secrets.rs"]
mod secrets;
#[path = "faults/slowness.rs"]
mod slowness;
mod support;
#[path = "faults/watches.rs"]
mod watches;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chat_crds::ChatCluster;
use chat_operator::{context::Context, names::ClusterKey, observe};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use support::api_server::{ApiServer, Trouble, chat_cluster};

/// How long each trouble lasts, by the pauses that the operator would make.
const TROUBLE: Duration = Duration::from_secs(600);
/// Requests of one ChatCluster in a minute of refusals, on average: a pass reads some twenty kinds of objects where they are not watched, as here.
const REQUESTS_A_MINUTE: f64 = 40.0;
/// The same where the first request of a pass is in vain. The client of a real operator tries twice more, which makes it three times as many at most.
const IN_VAIN_A_MINUTE: f64 = 3.0;

fn key() -> ClusterKey {
    ClusterKey::new("chat", "demo")
}

/// A ChatCluster whose children are there, its context, and the way to its API server.
struct World {
    server: ApiServer,
    context: Arc<Context>,
}

impl World {
    async fn settled() -> Self {
        Self::settled_with(|_| ()).await
    }

    /// The same where the API server was told something first.
    async fn settled_with(tell: impl FnOnce(&ApiServer)) -> Self {
        let (server, client) = ApiServer::start(&support::cluster("minimal")).await;
        tell(&server);
        let world = Self { server, context: Arc::new(support::context(client)) };
        for _ in 0..4 {
            world.pass().await.unwrap();
            for (path, mut job) in world.server.list("/jobs/") {
                job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
                world.server.put(&path, job);
            }
        }
        world
    }

    /// A pass as the controller makes it.
    async fn pass(&self) -> Result<(), observe::ObservedError> {
        let cluster = Arc::new(support::cluster("minimal"));
        observe::pass(cluster, Arc::clone(&self.context)).await.map(drop)
    }

    /// Passes and pauses, until the trouble has lasted long enough; requests that were made of it.
    async fn suffer(&self, trouble: Trouble) -> usize {
        self.server.trouble(Some(trouble));
        let (before, mut paused) = (self.server.requests(), Duration::ZERO);
        while paused < TROUBLE {
            assert!(self.pass().await.is_err(), "a pass succeeded in spite of {trouble:?}");
            paused += self.context.backoff.failed(&key());
        }
        let requests = self.server.requests() - before;
        self.server.trouble(None);
        requests
    }

    /// What runs: the specs and contents of all children.
    fn children(&self) -> BTreeMap<String, Value> {
        let all = self.server.objects().into_iter().filter(|(path, _)| !path.contains("/chatclusters/"));
        all.map(|(path, object)| (path, json!([object["spec"], object["data"], object["stringData"]]))).collect()
    }

    /// Passes until nothing is written any more; writes that it took, statuses left out.
    async fn rest(&self) -> Vec<String> {
        self.server.kill(None);
        for _ in 0..5 {
            self.pass().await.unwrap();
        }
        let writes = self.server.writes().into_iter().map(|write| write.path);
        writes.filter(|path| !path.ends_with("/status")).collect()
    }

    fn condition(&self, type_: &str) -> Condition {
        let cluster: ChatCluster = serde_json::from_value(self.server.get(&chat_cluster("demo")).unwrap()).unwrap();
        cluster.status.unwrap().conditions.into_iter().find(|condition| condition.type_ == type_).unwrap()
    }
}

fn trouble(code: u16, reason: &'static str, message: &'static str) -> Trouble {
    Trouble { code, reason, message, only_children: false }
}

#[tokio::test]
async fn one_that_is_away_or_overloaded_is_asked_seldom_and_nothing_is_changed() {
    let world = World::settled().await;
    let before = world.children();
    for trouble in [
        trouble(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        trouble(429, "TooManyRequests", "too many requests, please try again later"),
        trouble(500, "InternalError", "etcdserver: request timed out"),
        trouble(401, "Unauthorized", "Unauthorized"),
    ] {
        let requests = world.suffer(trouble).await;
        let a_minute = requests as f64 / (TROUBLE.as_secs_f64() / 60.0);
        println!("{}: {a_minute:.1} requests a minute", trouble.reason);
        assert!(a_minute <= IN_VAIN_A_MINUTE, "{a_minute} requests a minute of {trouble:?}");
        assert_eq!(world.children(), before, "{trouble:?}");
        world.pass().await.unwrap();
        assert_eq!(world.context.backoff.count(&key()), 0, "it is well again");
    }
}

/// A quota that is used up, a policy that refuses, conflicts without end: what the API server says stands in the status, and the rest goes on.
#[tokio::test]
async fn what_is_refused_is_told_in_the_words_of_who_refuses() {
    for (code, reason, message) in [
        (403, "Forbidden", "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"),
        (403, "Forbidden", "ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: pin your images"),
        (409, "Conflict", "the object has been modified; please apply your changes to the latest version"),
    ] {
        let world = World::settled().await;
        // Somebody has taken something away, so that there is something to write.
        let path = "/apis/apps/v1/namespaces/chat/statefulsets/demo-redis";
        world.server.remove(path).unwrap();
        let before = world.children();
        let requests = world.suffer(Trouble { only_children: true, ..trouble(code, reason, message) }).await;
        let a_minute = requests as f64 / (TROUBLE.as_secs_f64() / 60.0);
        println!("{reason} ({code}): {a_minute:.1} requests a minute");
        assert!(a_minute <= REQUESTS_A_MINUTE, "{a_minute} requests a minute of {reason}");
        let ready = world.condition("Ready");
        assert_eq!(ready.status, "False", "{ready:?}");
        assert!(ready.message.contains(message) && ready.message.contains("demo-redis"), "{ready:?}");
        assert_eq!(world.children(), before, "the others are as they were");
        world.pass().await.unwrap();
        assert!(world.server.get(path).is_some(), "it is made when nobody refuses any more");
    }
}

/// An etcd that was restored from a snapshot has objects that were deleted since, and has forgotten what was made.
#[tokio::test]
async fn an_older_memory_is_brought_to_where_it_was() {
    let world = World::settled().await;
    let snapshot = world.server.objects();
    let mut changed = world.server.get(&chat_cluster("demo")).unwrap();
    changed["metadata"]["generation"] = json!(2);
    changed["spec"]["gateways"] = json!({ "replicas": 5, "expose": { "type": "HAProxy" } });
    world.server.put(&chat_cluster("demo"), changed.clone());
    for _ in 0..3 {
        world.pass().await.unwrap();
    }
    let after = world.children();
    assert!(after.keys().any(|path| path.ends_with("demo-haproxy")));
    // All of it is of yesterday, the ChatCluster too, and then Git writes it as it is today.
    world.server.restore(snapshot.clone());
    world.pass().await.unwrap();
    let yesterday = world.children();
    assert!(!yesterday.keys().any(|path| path.ends_with("demo-haproxy")), "the spec of yesterday has none");
    world.server.put(&chat_cluster("demo"), changed);
    for _ in 0..3 {
        world.pass().await.unwrap();
    }
    assert_eq!(world.children(), after);
    // Passwords that were made before the snapshot are still those of the volumes.
    let secret =
        |objects: &BTreeMap<String, Value>| objects["/api/v1/namespaces/chat/secrets/demo-shard-a"]["data"].clone();
    assert_eq!(secret(&world.server.objects()), secret(&snapshot));
}
