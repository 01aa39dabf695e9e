//! The metrics API that a HorizontalPodAutoscaler reads: `custom.metrics.k8s.io`, behind the API server's aggregation layer, with the connections
//! of every simulated gateway.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use kube::Client;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{
    objects::{self, METRIC},
    world::World,
};

const GROUP: &str = "custom.metrics.k8s.io";
const VERSION: &str = "v1beta2";
/// Namespace of the Service that leads here.
const NAMESPACE: &str = "kube-system";
const SERVICE: &str = "simulated-metrics";

/// Serves on this address of the machine and tells the API server so.
///
/// # Errors
/// The address cannot be used, or the API server refuses the objects.
pub(crate) async fn start(client: &Client, host: Ipv4Addr, world: Arc<World>) -> Result<()> {
    let listener = TcpListener::bind((host, 0)).await.with_context(|| format!("failed to listen on {host}"))?;
    let port = listener.local_addr()?.port();
    let certified = rcgen::generate_simple_self_signed([host.to_string()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .context("failed to use a certificate of our own")?;
    tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), world));
    // An external name leads out of the cluster's own network, and may be an address.
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE },
        "spec": { "type": "ExternalName", "externalName": host.to_string() },
    });
    objects::apply(client, &service).await?;
    let api_service = json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": { "name": format!("{VERSION}.{GROUP}") },
        "spec": {
            "group": GROUP, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true,
            "service": { "name": SERVICE, "namespace": NAMESPACE, "port": port },
        },
    });
    objects::apply(client, &api_service).await
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, world: Arc<World>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (acceptor, world) = (acceptor.clone(), Arc::clone(&world));
        tokio::spawn(async move { drop(connection(socket, &acceptor, &world).await) });
    }
}

async fn connection(socket: TcpStream, acceptor: &TlsAcceptor, world: &Arc<World>) -> Result<()> {
    let socket = acceptor.accept(socket).await?;
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = answer(request.uri().path(), world);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await?)
}

fn answer(path: &str, world: &World) -> Response<Full<Bytes>> {
    let root = format!("/apis/{GROUP}/{VERSION}");
    let wanted = path.strip_prefix(&root).map(|rest| rest.trim_matches('/').split('/').collect::<Vec<_>>());
    match wanted.as_deref() {
        Some([""]) => json_of(StatusCode::OK, &resources()),
        Some(["namespaces", namespace, "pods", "*" | "%2A", METRIC]) => match values(namespace, world) {
            Some(values) => json_of(StatusCode::OK, &values),
            None => {
                json_of(StatusCode::SERVICE_UNAVAILABLE, &json!({ "kind": "Status", "apiVersion": "v1", "code": 503 }))
            }
        },
        _ => json_of(StatusCode::NOT_FOUND, &json!({ "kind": "Status", "apiVersion": "v1", "code": 404 })),
    }
}

fn resources() -> Value {
    let name = format!("pods/{METRIC}");
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": [{ "name": name, "singularName": "", "namespaced": true, "kind": "MetricValueList", "verbs": ["get"] }],
    })
}

/// The connections of every gateway of a contender; `None` while nobody is told.
fn values(namespace: &str, world: &World) -> Option<Value> {
    let now = Timestamp::now().to_string();
    let items = world.with(namespace, |side| {
        let value = |(pod, gateway): (&String, &crate::model::Gateway)| {
            json!({
                "describedObject": { "kind": "Pod", "namespace": namespace, "name": pod, "apiVersion": "/v1" },
                "metric": { "name": METRIC },
                "timestamp": now,
                "value": gateway.connections.to_string(),
            })
        };
        (!side.stalled).then(|| side.fleet.gateways().iter().map(value).collect::<Vec<_>>())
    });
    let items = items.flatten()?;
    Some(
        json!({ "kind": "MetricValueList", "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": {}, "items": items }),
    )
}

fn json_of(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
