//! An API server that keeps what is written in one namespace, remembers the writes, and can have the operator die at one of them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
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

/// Of a list with which a watch begins.
const SMALL_PAGE: &str = "limit=25";
/// The header by which clients are told apart.
const CLIENT: &str = "x-client";

/// A request that is no read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    /// Who wrote, if the client has a name.
    pub(crate) client: String,
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

/// Something that happened to an object, for watches.
#[derive(Clone)]
struct Happened {
    version: u64,
    path: String,
    type_: &'static str,
    object: Value,
}

/// What an admission policy makes of an object that is written.
pub(crate) type Policy = fn(path: &str, object: &mut Value);

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Value>,
    journal: Vec<Happened>,
    /// Before this nothing is known any more to who watches.
    forgotten: u64,
    /// Lists, those with which watches begin, of which the first page is followed by none; each once.
    broken_pages: BTreeSet<String>,
    pages_break: bool,
    delay: Duration,
    is_leaving: bool,
    policy: Option<Policy>,
    /// Clients whose requests about Leases are never answered.
    cut_off: Option<String>,
    /// Lists with which watches begin, and watches as `watch PATH`.
    reads: Vec<String>,
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
    changed: Arc<Notify>,
    address: String,
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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { address, ..Self::default() };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        // The client of a real operator tries again by itself where a server is overloaded: a test need not wait for it.
        let mut config = server.config();
        config.default_retry = false;
        (server, Client::try_from(config).unwrap())
    }

    /// A client as a real operator has it, with a name.
    pub(crate) fn real_client(&self, name: &str) -> Client {
        let mut config = self.config();
        config.headers = vec![(CLIENT.parse().unwrap(), name.parse().unwrap())];
        chat_operator::client::client(config).unwrap()
    }

    fn config(&self) -> Config {
        Config::new(self.address.parse().unwrap())
    }

    /// Everything that was written, in order.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.held().writes.clone()
    }

    /// Puts an object in place, as somebody else than the operator.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.held().put(path, object);
        self.changed.notify_waiters();
    }

    /// The object at a path.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.held().objects.get(path).cloned()
    }

    /// Takes an object away, as somebody else than the operator.
    pub(crate) fn remove(&self, path: &str) -> Option<Value> {
        let removed = self.held().remove(path);
        self.changed.notify_waiters();
        removed
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

    /// Has every request take this long from now on.
    pub(crate) fn slow(&self, delay: Duration) {
        self.held().delay = delay;
    }

    /// Forgets what happened: watches end with 410 Gone, and so does the second page of the next list with which a watch of each kind begins.
    pub(crate) fn forget(&self) {
        let mut held = self.held();
        held.version += 1;
        held.forgotten = held.version;
        (held.pages_break, held.broken_pages) = (true, BTreeSet::new());
        held.reads.clear();
        drop(held);
        self.changed.notify_waiters();
    }

    /// The namespace is being deleted: nothing can be made in it any more.
    pub(crate) fn leave(&self) {
        self.held().is_leaving = true;
    }

    /// Admits what is written as this makes it.
    pub(crate) fn admit(&self, policy: Policy) {
        self.held().policy = Some(policy);
    }

    /// Answers a client's requests about Leases no more.
    pub(crate) fn cut_off(&self, client: &str) {
        self.held().cut_off = Some(client.to_owned());
    }

    /// Lists with which watches begin, and watches as `watch PATH`, in order.
    pub(crate) fn reads(&self) -> Vec<String> {
        self.held().reads.clone()
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
        let type_ = if self.objects.insert(path.to_owned(), object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        self.happened(path, type_, object.clone());
        object
    }

    fn remove(&mut self, path: &str) -> Option<Value> {
        let object = self.objects.remove(path)?;
        self.version += 1;
        self.happened(path, "DELETED", object.clone());
        Some(object)
    }

    fn happened(&mut self, path: &str, type_: &'static str, object: Value) {
        self.journal.push(Happened { version: self.version, path: path.to_owned(), type_, object });
    }

    /// What a write makes of the objects, and the answer to it.
    fn write(&mut self, method: &Method, path: &str, body: Value, is_merge: bool) -> Result<Value, StatusCode> {
        if *method == Method::DELETE {
            return self.remove(path).ok_or(StatusCode::NOT_FOUND);
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
        let named = &body["metadata"]["resourceVersion"];
        if *method == Method::PUT && !named.is_null() {
            let known = self.objects.get(path).ok_or(StatusCode::NOT_FOUND)?;
            if known["metadata"]["resourceVersion"] != *named {
                return Err(StatusCode::CONFLICT);
            }
        }
        let path = path.strip_suffix("/scale").unwrap_or(path);
        let mut object = if is_merge {
            let mut object = self.objects.get(path).cloned().ok_or(StatusCode::NOT_FOUND)?;
            merge(&mut object, body);
            object
        } else {
            body
        };
        if let Some(policy) = self.policy {
            policy(path, &mut object);
        }
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
    let client = headers.get(CLIENT).and_then(|name| name.to_str().ok()).unwrap_or_default().to_owned();
    let (delay, is_cut_off) = {
        let held = server.held();
        (held.delay, path.contains("/leases/") && held.cut_off.as_ref() == Some(&client))
    };
    if is_cut_off {
        server.held().requests += 1;
        return std::future::pending().await;
    }
    tokio::time::sleep(delay).await;
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
    if server.refuses(&method, path) {
        return leaving();
    }
    if path.contains("/events") {
        return Json(body).into_response();
    }
    let is_merge = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/merge-patch+json");
    let (answer, dies) = {
        let mut held = server.held();
        let death = held.death.filter(|death| death.at == held.writes.len());
        held.writes.push(Write { client, method: method.to_string(), path: path.to_owned(), body: body.clone() });
        let is_written = death.is_none_or(|death| death.is_written);
        let answer = if is_written { held.write(&method, path, body, is_merge) } else { Ok(Value::Null) };
        (answer, death.is_some())
    };
    server.changed.notify_waiters();
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
    let is_list = query.contains("labelSelector") || query.contains("limit=") || path == REBALANCES;
    let is_watch = query.contains("watch=true");
    if !is_list && !is_watch {
        return refusal(StatusCode::NOT_FOUND);
    }
    let chosen = Chosen { below: format!("{path}/"), labelled: query.contains("labelSelector") };
    let mut held = server.held();
    if is_watch {
        let from = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
        let from = from.and_then(|version| version.parse().ok()).unwrap_or(held.version);
        held.reads.push(format!("watch {path}"));
        drop(held);
        return watch(server.clone(), chosen, from);
    }
    if query.contains("continue=") {
        return gone();
    }
    // What watches ask for comes in small pages, which tells it from what a pass asks for.
    let begins_watch = query.contains(SMALL_PAGE);
    if begins_watch {
        held.reads.push(path.to_owned());
    }
    // Were a pass's list to break off, the watch's would not any more: which one asks first is chance.
    let more = held.pages_break && begins_watch && held.broken_pages.insert(path.to_owned());
    let all = held.objects.iter().filter(|(path, object)| chosen.takes(path, object));
    let items: Vec<Value> = all.map(|(_, object)| object.clone()).collect();
    let mut meta = json!({ "resourceVersion": held.version.to_string() });
    if more {
        meta["continue"] = json!("a-page-that-is-forgotten");
    }
    Json(json!({ "metadata": meta, "items": items })).into_response()
}

/// The objects of a list or a watch.
struct Chosen {
    below: String,
    labelled: bool,
}

impl Chosen {
    fn takes(&self, path: &str, object: &Value) -> bool {
        path.strip_prefix(&self.below).is_some_and(|name| !name.contains('/'))
            && (!self.labelled || !object["metadata"]["labels"][CLUSTER_LABEL].is_null())
    }
}

/// What happens to the chosen objects after `from`, as long as that is known.
fn watch(server: ApiServer, chosen: Chosen, from: u64) -> Response {
    let begin = (server, chosen, Some(from), VecDeque::<String>::new());
    let lines = futures::stream::unfold(begin, |(server, chosen, mut from, mut ready)| async move {
        loop {
            if let Some(line) = ready.pop_front() {
                return Some((Ok::<_, Infallible>(Bytes::from(line)), (server, chosen, from, ready)));
            }
            let since = from?;
            let changed = Arc::clone(&server.changed);
            let mut changed = std::pin::pin!(changed.notified());
            changed.as_mut().enable();
            {
                let held = server.held();
                if since < held.forgotten {
                    from = None;
                    ready.push_back(line("ERROR", &status(410, "Expired", "too old resource version")));
                    continue;
                }
                let news = held.journal.iter().filter(|news| news.version > since);
                let news = news.filter(|news| chosen.takes(&news.path, &news.object));
                ready.extend(news.map(|news| line(news.type_, &news.object)));
                from = Some(held.version);
            }
            if ready.is_empty() {
                changed.await;
            }
        }
    });
    Body::from_stream(lines).into_response()
}

fn line(type_: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": type_, "object": object }))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "message": message, "code": code })
}

fn gone() -> Response {
    (StatusCode::GONE, Json(status(410, "Expired", "the provided continue parameter is too old"))).into_response()
}

/// What Kubernetes says where the namespace is being deleted.
fn leaving() -> Response {
    let message = "deployments.apps \"x\" is forbidden: unable to create new content in namespace chat because it is being terminated";
    let mut status = status(403, "Forbidden", message);
    status["details"] = json!({ "causes": [{
        "reason": "NamespaceTerminating", "message": "namespace chat is being terminated", "field": "metadata.namespace",
    }] });
    (StatusCode::FORBIDDEN, Json(status)).into_response()
}

impl ApiServer {
    /// Whether the namespace is being deleted and this would make something in it.
    fn refuses(&self, method: &Method, path: &str) -> bool {
        let held = self.held();
        let is_new = *method == Method::POST || *method == Method::PATCH && !held.objects.contains_key(path);
        held.is_leaving && is_new && !path.ends_with("/status") && !path.ends_with("/scale")
    }
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
