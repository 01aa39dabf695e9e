//! An API server that keeps what is written in one namespace, remembers the writes, and can have the operator die at one of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Json, Response},
};
use chat_crds::ChatCluster;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The label that lists of children ask for.
const CLUSTER_LABEL: &str = "chatcluster.dev/cluster";
/// What every path of an object begins with in the namespace of the fixtures.
const CHATCLUSTERS: &str = "/apis/chatcluster.dev/v1alpha1/namespaces/chat/chatclusters";
const REBALANCES: &str = "/apis/chatcluster.dev/v1alpha1/namespaces/chat/shardrebalances";

/// A request that is no read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// Where the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// At this write, counted from 0, Events left out.
    pub(crate) at: usize,
    /// Whether the write still came to pass.
    pub(crate) is_written: bool,
}

/// How an API server that is in trouble answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The code.
    pub(crate) code: u16,
    /// The reason, a word of Kubernetes'.
    pub(crate) reason: &'static str,
    /// What it says.
    pub(crate) message: &'static str,
    /// Reads and the ChatCluster's status go through.
    pub(crate) only_children: bool,
}

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Value>,
    writes: Vec<Write>,
    version: u64,
    death: Option<Death>,
    trouble: Option<Trouble>,
    requests: usize,
}

/// The API server; it ends with the test's runtime.
#[derive(Clone, Default)]
pub(crate) struct ApiServer {
    held: Arc<Mutex<Held>>,
    dead: Arc<Notify>,
}

impl ApiServer {
    /// Serves `cluster` on loopback; returns the server and a client of it.
    pub(crate) async fn start(cluster: &ChatCluster) -> (Self, Client) {
        let (server, client) = Self::empty().await;
        server.put(&chat_cluster("demo"), serde_json::to_value(cluster).unwrap());
        (server, client)
    }

    /// Serves nothing yet.
    pub(crate) async fn empty() -> (Self, Client) {
        // A second call is refused; the provider of the first one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        // The client of a real operator tries again by itself where a server is overloaded, with pauses that grow: a test need not wait for them.
        let mut config = Config::new(address.parse().unwrap());
        config.default_retry = false;
        (server, Client::try_from(config).unwrap())
    }

    /// Everything that was written, in order.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.held().writes.clone()
    }

    /// Puts an object in place, as somebody else than the operator.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.held().put(path, object);
    }

    /// The object at a path.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.held().objects.get(path).cloned()
    }

    /// Takes an object away, as somebody else than the operator.
    pub(crate) fn remove(&self, path: &str) -> Option<Value> {
        self.held().objects.remove(path)
    }

    /// All objects by their paths, those only whose path has this in it.
    pub(crate) fn list(&self, part: &str) -> Vec<(String, Value)> {
        let held = self.held();
        let all = held.objects.iter().filter(|(path, _)| path.contains(part));
        all.map(|(path, object)| (path.clone(), object.clone())).collect()
    }

    /// Everything as it is now.
    pub(crate) fn objects(&self) -> BTreeMap<String, Value> {
        self.held().objects.clone()
    }

    /// Makes everything as it was.
    pub(crate) fn restore(&self, objects: BTreeMap<String, Value>) {
        self.held().objects = objects;
    }

    /// Has the operator die at a write from now on: that request is never answered.
    pub(crate) fn kill(&self, death: Option<Death>) {
        let mut held = self.held();
        held.writes.clear();
        held.death = death;
    }

    /// From now on it answers so; `None` ends it.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        self.held().trouble = trouble;
    }

    /// Requests so far, of whatever kind.
    pub(crate) fn requests(&self) -> usize {
        self.held().requests
    }

    /// Waits until it is dead.
    pub(crate) async fn death(&self) {
        self.dead.notified().await;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }
}

/// Path of a ChatCluster.
pub(crate) fn chat_cluster(name: &str) -> String {
    format!("{CHATCLUSTERS}/{name}")
}

/// Path of a ShardRebalance.
pub(crate) fn shard_rebalance(name: &str) -> String {
    format!("{REBALANCES}/{name}")
}

impl Held {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let before = self.objects.get(path);
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = json!(self.version.to_string());
        for (field, new) in [
            ("uid", format!("00000000-0000-0000-0000-1{:011}", self.version)),
            ("creationTimestamp", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ] {
            let known = before.map(|before| before["metadata"][field].clone()).filter(|known| !known.is_null());
            if let Some(value) = known.or_else(|| meta[field].is_null().then(|| json!(new))) {
                meta[field] = value;
            }
        }
        if meta["generation"].is_null() {
            meta["generation"] = json!(1);
        }
        if object["status"].is_null()
            && let Some(status) = before.map(|before| before["status"].clone()).filter(|status| !status.is_null())
        {
            object["status"] = status;
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    /// What a write makes of the objects, and the answer to it.
    fn write(&mut self, method: &Method, path: &str, body: Value, is_merge: bool) -> Result<Value, StatusCode> {
        if *method == Method::DELETE {
            return self.objects.remove(path).ok_or(StatusCode::NOT_FOUND);
        }
        if *method == Method::POST {
            let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap_or_default());
            return if self.objects.contains_key(&path) {
                Err(StatusCode::CONFLICT)
            } else {
                Ok(self.put(&path, body))
            };
        }
        if let Some(path) = path.strip_suffix("/status") {
            let mut object = self.objects.get(path).cloned().ok_or(StatusCode::NOT_FOUND)?;
            object["status"] = body["status"].clone();
            return Ok(self.put(path, object));
        }
        let path = path.strip_suffix("/scale").unwrap_or(path);
        let object = if is_merge {
            let mut object = self.objects.get(path).cloned().ok_or(StatusCode::NOT_FOUND)?;
            merge(&mut object, body);
            object
        } else {
            body
        };
        Ok(self.put(path, object))
    }
}

fn merge(object: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *object = patch;
        return;
    };
    for (field, value) in patch {
        if value.is_null() {
            object.as_object_mut().map(|object| object.remove(&field));
        } else {
            merge(&mut object[field], value);
        }
    }
}

async fn answer(
    State(server): State<ApiServer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    let trouble = {
        let mut held = server.held();
        held.requests += 1;
        held.trouble.filter(|trouble| !trouble.only_children || method != Method::GET && !path.ends_with("/status"))
    };
    if let Some(Trouble { code, reason, message, .. }) = trouble {
        let status =
            json!({ "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code });
        return (StatusCode::from_u16(code).unwrap(), Json(status)).into_response();
    }
    if method == Method::GET {
        return read(&server, path, uri.query().unwrap_or_default());
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if path.contains("/events") {
        return Json(body).into_response();
    }
    let is_merge = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/merge-patch+json");
    let (answer, dies) = {
        let mut held = server.held();
        let death = held.death.filter(|death| death.at == held.writes.len());
        held.writes.push(Write { method: method.to_string(), path: path.to_owned(), body: body.clone() });
        let is_written = death.is_none_or(|death| death.is_written);
        let answer = if is_written { held.write(&method, path, body, is_merge) } else { Ok(Value::Null) };
        (answer, death.is_some())
    };
    if dies {
        server.dead.notify_one();
        return std::future::pending().await;
    }
    match answer {
        Ok(object) => Json(object).into_response(),
        Err(code) => refusal(code),
    }
}

fn read(server: &ApiServer, path: &str, query: &str) -> Response {
    if let Some(object) = server.get(path) {
        return Json(object).into_response();
    }
    if let Some((_, name)) = query.split_once("fieldSelector=metadata.name%3D") {
        let name = name.split('&').next().unwrap_or_default();
        return list_of_one(server, path, name);
    }
    let is_list = query.contains("labelSelector") || path == REBALANCES;
    if !is_list {
        return refusal(StatusCode::NOT_FOUND);
    }
    let below = format!("{path}/");
    let is_wanted = |object: &Value| path == REBALANCES || !object["metadata"]["labels"][CLUSTER_LABEL].is_null();
    let objects = server.list(&below).into_iter().map(|(_, object)| object);
    let items: Vec<Value> = objects.filter(|object| is_wanted(object)).collect();
    Json(json!({ "metadata": {}, "items": items })).into_response()
}

/// The engine of this name, if the kind is served: somebody has put one of it there, be it of another name.
fn list_of_one(server: &ApiServer, path: &str, name: &str) -> Response {
    let below = format!("{path}/");
    let all = server.list(&below);
    if all.is_empty() {
        return (StatusCode::NOT_FOUND, "404 page not found").into_response();
    }
    let items: Vec<Value> =
        all.into_iter().filter(|(path, _)| path.strip_prefix(&below) == Some(name)).map(|(_, object)| object).collect();
    Json(json!({ "metadata": {}, "items": items })).into_response()
}

fn refusal(code: StatusCode) -> Response {
    let reason = if code == StatusCode::CONFLICT { "AlreadyExists" } else { "NotFound" };
    let status =
        json!({ "kind": "Status", "status": "Failure", "reason": reason, "message": "none", "code": code.as_u16() });
    (code, Json(status)).into_response()
}
