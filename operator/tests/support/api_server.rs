//! An API server with one ChatCluster and nothing else, that remembers what is written.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Json, Response},
};
use chat_crds::ChatCluster;
use kube::{Client, Config};
use serde_json::{Value, json};

/// A request that is no read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// The API server; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct ApiServer {
    cluster: Value,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl ApiServer {
    /// Serves `cluster` on loopback; returns the server and a client of it.
    pub(crate) async fn start(cluster: &ChatCluster) -> (Self, Client) {
        // A second call is refused; the provider of the first one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Self { cluster: serde_json::to_value(cluster).unwrap(), writes: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, Client::try_from(Config::new(address.parse().unwrap())).unwrap())
    }

    /// Everything that was written, in order.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.writes.lock().unwrap().clone()
    }
}

async fn answer(State(server): State<ApiServer>, method: Method, uri: Uri, body: Bytes) -> Response {
    let is_the_cluster = uri.path().contains("/chatclusters/");
    if method != Method::GET {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let write = Write { method: method.to_string(), path: uri.path().to_owned(), body: body.clone() };
        server.writes.lock().unwrap().push(write);
        return Json(if is_the_cluster { server.cluster } else { body }).into_response();
    }
    if is_the_cluster {
        return Json(server.cluster).into_response();
    }
    if uri.query().is_some_and(|query| query.contains("labelSelector")) {
        return Json(json!({ "metadata": {}, "items": [] })).into_response();
    }
    let status = json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "message": "none", "code": 404 });
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}
