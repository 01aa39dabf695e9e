//! Refusals about how people reach the gateways.

use serde_json::{Value, json};

use super::{Refusal, create, update};

pub(super) fn refusals() -> Vec<Refusal> {
    let on = |expose: Value| json!({ "gateways": { "expose": expose } });
    let with = |name, expose, message| create(name, on(expose), message);
    let tier = |more: Value| json!({ "type": "HAProxy", "haproxy": more });
    let ingress = |more: Value| json!({ "type": "Ingress", "ingress": more });
    let route = |more: Value| json!({ "type": "HTTPRoute", "httpRoute": more });
    const ADDRESS: &str = "spec.gateways.expose.hints.address: is no address of a WebSocket with placeholders; use ws:// or wss:// with a host";
    let hints =
        |name, address, message| with(name, json!({ "type": "ClusterIP", "hints": { "address": address } }), message);
    const INGRESS: &str = "spec.gateways.expose.ingress: goes with type Ingress, which needs it, and with no other";
    const ROUTE: &str = "spec.gateways.expose.httpRoute: goes with type HTTPRoute, which needs it, and with no other";
    const CLASS: &str = "spec.gateways.expose.haproxy.service.loadBalancer: is for type LoadBalancer";
    vec![
        with("a way in without a type", json!({}), "spec.gateways.expose.type"),
        with("a way in that is a NodePort", json!({ "type": "NodePort" }), "spec.gateways.expose.type"),
        with(
            "a load balancer of a ClusterIP",
            json!({ "type": "ClusterIP", "loadBalancer": {} }),
            "spec.gateways.expose.loadBalancer: is for type LoadBalancer; set type to LoadBalancer, or remove loadBalancer",
        ),
        with(
            "HAProxy of a load balancer",
            json!({ "type": "LoadBalancer", "haproxy": {} }),
            "spec.gateways.expose.haproxy: is for type HAProxy; set type to HAProxy, or remove haproxy",
        ),
        with("an Ingress without one", json!({ "type": "Ingress" }), INGRESS),
        with("an Ingress of a ClusterIP", json!({ "type": "ClusterIP", "ingress": { "host": "a.example" } }), INGRESS),
        with("a route without one", json!({ "type": "HTTPRoute" }), ROUTE),
        with(
            "a route of HAProxy",
            json!({ "type": "HAProxy", "httpRoute": { "parentRefs": [{ "name": "a" }] } }),
            ROUTE,
        ),
        with(
            "a load balancer with a class of two words",
            json!({ "type": "LoadBalancer", "loadBalancer": { "loadBalancerClass": "my lb" } }),
            "spec.gateways.expose.loadBalancer.loadBalancerClass",
        ),
        with("no HAProxy", tier(json!({ "replicas": 0 })), "spec.gateways.expose.haproxy.replicas"),
        with("a crowd of HAProxies", tier(json!({ "replicas": 51 })), "spec.gateways.expose.haproxy.replicas"),
        with(
            "HAProxy without a moment",
            tier(json!({ "drainSeconds": 0 })),
            "spec.gateways.expose.haproxy.drainSeconds",
        ),
        with(
            "HAProxy with a nameless certificate",
            tier(json!({ "tlsSecretRef": {} })),
            "spec.gateways.expose.haproxy.tlsSecretRef.name",
        ),
        with(
            "a load balancer before no Service of that type",
            tier(json!({ "service": { "loadBalancer": {} } })),
            CLASS,
        ),
        with(
            "a load balancer before a ClusterIP of HAProxy",
            tier(json!({ "service": { "type": "ClusterIP", "loadBalancer": {} } })),
            CLASS,
        ),
        with("an Ingress for nobody", ingress(json!({})), "spec.gateways.expose.ingress.host"),
        with(
            "an Ingress with a URL",
            ingress(json!({ "host": "https://a.example" })),
            "spec.gateways.expose.ingress.host",
        ),
        with("a route to nowhere", route(json!({ "parentRefs": [] })), "spec.gateways.expose.httpRoute.parentRefs"),
        with(
            "a route with a wrong name",
            route(json!({ "parentRefs": [{ "name": "a" }], "hostnames": ["a.example/chat"] })),
            "spec.gateways.expose.httpRoute.hostnames[0]",
        ),
        with(
            "hints behind HAProxy",
            json!({ "type": "HAProxy", "hints": { "address": "ws://{podIP}:{port}" } }),
            "spec.gateways.expose.hints: HAProxy lets nobody reach a single gateway",
        ),
        hints("hints for no WebSocket", "https://{pod}.chat.example.com", ADDRESS),
        hints("hints with a slash at the end", "wss://{pod}.chat.example.com/", ADDRESS),
        hints("hints with a query", "wss://{pod}.chat.example.com/v1?x=1", ADDRESS),
        hints("hints of what nobody knows", "wss://{node}.chat.example.com", ADDRESS),
        hints("hints with a user", "wss://ann@{pod}", ADDRESS),
        hints("hints with an address for a port", "wss://{pod}:{podIP}", ADDRESS),
        hints(
            "hints that lead to all alike",
            "wss://chat.example.com:{port}",
            "spec.gateways.expose.hints.address: is the same for all gateways",
        ),
        hints("hints of nothing", "", "spec.gateways.expose.hints.address"),
        with(
            "hints that lead nowhere",
            json!({ "type": "ClusterIP", "hints": {} }),
            "spec.gateways.expose.hints.address",
        ),
        update("an Ingress comes without its block", on(json!({ "type": "Ingress" })), INGRESS),
    ]
}
