//! Servers outside the Kubernetes that a ChatCluster uses, as a user's own are: an Apache Kafka, an issuer of tokens.
//!
//! They run beside the tests and not in pods. What the ChatCluster sees is the same, a name that leads to an address with a server that
//! comes and goes, and an image of Java and Kafka's jars would be half a gigabyte to make, load and unpack in each run. They listen on this
//! machine's end of the cable to the node, which nothing but the node and its pods is connected to.

#[path = "../../../../../gateway/tests/support/authority.rs"]
#[allow(dead_code, unreachable_pub, reason = "other test programs use the rest, in a public module")]
mod authority;
#[path = "../../../../../gateway/tests/oidc_tokens/issuer.rs"]
#[allow(dead_code, reason = "tests of the gateway alone use the rest")]
pub(crate) mod issuer;
pub(crate) mod kafka;
#[path = "../../../../../gateway/tests/support/kafka_program.rs"]
#[allow(unreachable_pub, reason = "other test programs have it in a public module")]
mod kafka_program;
#[path = "../../../../../gateway/tests/support/port.rs"]
#[allow(unreachable_pub, reason = "other test programs have it in a public module")]
mod port;
#[path = "../../../../../gateway/tests/support/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "other test programs use the rest, in a public module")]
mod process;

use std::net::{IpAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use e2e::World;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

/// The address at which the node, and so its pods, reach this machine.
pub(crate) async fn address(world: &World) -> Result<IpAddr> {
    let nodes: Api<Node> = Api::all(world.client.clone());
    let node = nodes.list(&ListParams::default()).await?.items.into_iter().next().context("no node")?;
    let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
    let internal = addresses.iter().find(|address| address.type_ == "InternalIP").context("a node without address")?;
    // Nothing is sent: the system only looks up from which of its addresses it would be.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((internal.address.as_str(), 1))?;
    Ok(socket.local_addr()?.ip())
}

/// The name by which pods reach a server outside, once [`introduce`] has told it to the Kubernetes.
pub(crate) fn name(service: &str, namespace: &str) -> String {
    format!("{service}.{namespace}.svc")
}

/// Gives a server outside a name, as Kubernetes documents it: a Service without selector and an EndpointSlice of one's own.
pub(crate) async fn introduce(world: &World, namespace: &str, service: &str, address: IpAddr) -> Result<()> {
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": service, "labels": { "kubernetes.io/service-name": service } },
        "endpoints": [{ "addresses": [address.to_string()] }],
    });
    let headless = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": service }, "spec": { "clusterIP": "None" },
    });
    apply(world, namespace, &[headless, slice]).await
}

/// A Secret of texts.
pub(crate) fn secret(name: &str, texts: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": texts })
}

/// Applies objects as a user would.
pub(crate) async fn apply(world: &World, namespace: &str, objects: &[Value]) -> Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
    let args = ["apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", "-"];
    let printed = world.kubectl_any(&args, Some(&list)).await?;
    ensure!(printed.success, "kubectl apply: {}{}", printed.out, printed.err);
    Ok(())
}
