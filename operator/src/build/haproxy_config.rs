//! The configuration file of the tier of HAProxy. Names that only the pod knows come from its environment, which the image's entry point
//! fills: `LISTEN`, `THREADS`, `DNS_SERVER` and `DNS_DOMAIN`.

use std::fmt::Write as _;

use chat_gateway_config::agent;

use super::pod;
use crate::{
    names::{path, port},
    reconcile::{Tier, ValidatedCluster},
};

/// Memory limit of the defaults, in bytes, should a user's requests name none.
const DEFAULT_MEMORY: u64 = 512 << 20;
/// Bytes of memory for a connection: with TLS it has some 20 KiB while it idles, and two buffers of 16 KiB while something goes through.
const CONNECTION_BYTES: u64 = 32 << 10;
/// Descriptors beside those of clients and gateways: listeners, checks that overlap, resolvers, pipes.
const OWN_DESCRIPTORS: u64 = 1_000;

/// Where HAProxy takes orders, in the abstract namespace of Unix sockets.
const ORDERS: &str = "abns@chatcluster-orders";

/// Seconds that a client may wait for a place when all gateways are full.
pub(super) const QUEUE_SECONDS: u32 = 10;

/// The file.
pub(super) fn render_haproxy_config(cluster: &ValidatedCluster, tier: &Tier) -> String {
    [
        global(tier),
        defaults(),
        resolvers(),
        clients(cluster, tier),
        gateways(cluster, tier),
        requests(cluster, tier),
        own(),
    ]
    .join("\n")
}

/// As many connections as the memory is for, or as the system allows where that is less: HAProxy counts back from the descriptors.
fn global(tier: &Tier) -> String {
    let resources = tier.resources.clone().unwrap_or_else(|| pod::resources("100m", "128Mi", "512Mi"));
    let connections = pod::memory_bytes(&resources, DEFAULT_MEMORY) / CONNECTION_BYTES;
    let descriptors = 2 * (connections + 2 * u64::from(tier.slots)) + OWN_DESCRIPTORS;
    let mut text = format!(
        "global
    log stdout format raw daemon notice
    fd-hard-limit {descriptors}
    nbthread \"${{THREADS}}\"
    hard-stop-after {drain}s
    ssl-default-bind-options ssl-min-ver TLSv1.2
",
        drain = tier.drain_seconds
    );
    if tier.certificate.is_some() {
        text.push_str(&follow_certificate());
    }
    text
}

/// A script within HAProxy orders it to take a renewed certificate, by a socket without a file: the root is read-only, and nobody else is in the
/// pod's network.
fn follow_certificate() -> String {
    format!(
        "    stats socket {ORDERS} level admin
    lua-load {}/{} {}/{} {ORDERS}
",
        path::TIER_DIR,
        path::TIER_SCRIPT,
        path::TLS_DIR,
        path::TLS_FILE
    )
}

/// Gateways ping every connection, so a tunnel that is silent for an hour is none.
fn defaults() -> String {
    format!(
        "defaults
    mode http
    log global
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client 60s
    timeout client-fin 30s
    timeout connect 3s
    timeout queue {QUEUE_SECONDS}s
    timeout server 60s
    timeout server-fin 30s
    timeout tunnel 1h
"
    )
}

/// A name that is gone for half a minute is gone; a server of names that is away changes nothing.
fn resolvers() -> String {
    "resolvers cluster
    nameserver dns \"${DNS_SERVER}\"
    accepted_payload_size 8192
    resolve_retries 3
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold obsolete 2s
    hold nx 30s
    hold other 24h
    hold refused 24h
    hold timeout 24h
"
    .to_owned()
}

/// Nobody behind the tier believes a header that did not come from here.
fn clients(cluster: &ValidatedCluster, tier: &Tier) -> String {
    let (number, tls) = match &tier.certificate {
        Some(_) => (port::TIER_HTTPS, format!(" ssl crt {}/{} alpn http/1.1", path::TLS_DIR, path::TLS_FILE)),
        None => (port::TIER_HTTP, String::new()),
    };
    let proxy = if tier.proxy_protocol { " accept-proxy" } else { "" };
    let mut text = format!("frontend clients\n    bind \"${{LISTEN}}:{number}\"{proxy}{tls}\n");
    let networks: Vec<String> = cluster.gateways.trusted_proxies.iter().map(ToString::to_string).collect();
    if !networks.is_empty() {
        let networks = networks.join(" ");
        // Writing into a String cannot fail.
        let _ = writeln!(text, "    http-request set-src req.hdr_ip(x-forwarded-for,-1) if {{ src {networks} }}");
    }
    if tier.certificate.is_some() {
        text.push_str("    http-request set-header X-Forwarded-Proto https\n");
    }
    text.push_str(
        "    http-request del-header Forwarded
    http-request set-header X-Forwarded-For %[src]
    use_backend gateways if { req.hdr(upgrade) -i websocket }
    default_backend requests
",
    );
    text
}

/// `drain` and shares come from the gateways themselves. A handshake that a full gateway refuses, or that one dies over, is tried at another
/// one; nothing else is sent twice. A gateway keeps its slot until it has gone, since its address is in the Service also while it is not ready: another one in that slot
/// would be taken for as full as the one before.
fn gateways(cluster: &ValidatedCluster, tier: &Tier) -> String {
    let connections = cluster.gateways.connections;
    format!(
        "backend gateways
    balance leastconn
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response 503
    default-server agent-check agent-port {agent} agent-inter 1s agent-send \"{question}\"
    default-server weight 128 maxconn {connections}
{servers}",
        agent = port::GATEWAY_AGENT,
        question = agent::question(connections).escape_default(),
        servers = servers(cluster, tier),
    )
}

/// Requests that are no handshakes do not wait for the place of a WebSocket: who is connected has to refresh a token also when all places are taken.
fn requests(cluster: &ValidatedCluster, tier: &Tier) -> String {
    format!(
        "backend requests
    balance leastconn
    retries 3
    option redispatch 1
{servers}",
        servers = servers(cluster, tier),
    )
}

/// Where the gateways are, and how it is seen that one is ready.
fn servers(cluster: &ValidatedCluster, tier: &Tier) -> String {
    format!(
        "    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host gateway
    default-server check port {admin} inter 2s fastinter 500ms downinter 1s fall 3 rise 1
    default-server resolvers cluster resolve-prefer ipv4 init-addr none
    server-template gateway- {slots} \"{service}.${{DNS_DOMAIN}}:{http}\"
",
        admin = port::GATEWAY_ADMIN,
        slots = tier.slots,
        service = cluster.names.gateway_pods(),
        http = port::GATEWAY_HTTP,
    )
}

/// For probes and for Prometheus. Ready is who knows a gateway that takes clients.
fn own() -> String {
    format!(
        "frontend own
    bind \"${{LISTEN}}:{own}\"
    no log
    http-request return status 200 content-type text/plain string ok if {{ path /healthz }}
    http-request return status 200 content-type text/plain string ok if {{ path /readyz }} {{ nbsrv(gateways) ge 1 }}
    http-request return status 503 content-type text/plain string \"no gateway\" if {{ path /readyz }}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request return status 404
",
        own = port::TIER_OWN
    )
}
