//! Refusals about the queries of a rollout's analysis.

use serde_json::{Value, json};

use super::{Refusal, create};

pub(super) fn refusals() -> Vec<Refusal> {
    let on = |more: Value| {
        let mut prometheus = json!({
            "url": "https://prometheus.example.org",
            "queries": [{ "name": "errors", "query": "sum(errors)", "max": "1" }],
        });
        super::merge(&mut prometheus, &more);
        json!({ "gateways": { "rollout": { "analysis": { "prometheus": prometheus } } } })
    };
    let query = |more: Value| {
        let mut query = json!({ "name": "errors", "query": "sum(errors)" });
        super::merge(&mut query, &more);
        on(json!({ "queries": [query] }))
    };
    const QUERIES: &str = "spec.gateways.rollout.analysis.prometheus.queries";
    const URL: &str = "spec.gateways.rollout.analysis.prometheus.url";
    const HTTPS: &str = "tokenSecretRef and caSecretRef are for https";
    vec![
        create("no queries", on(json!({ "queries": [] })), QUERIES),
        create("an empty query", query(json!({ "query": "", "max": "1" })), QUERIES),
        create("a query of blanks", query(json!({ "query": " ", "max": "1" })), QUERIES),
        create("a query without bounds", query(json!({})), "a query without bounds decides nothing"),
        create("bounds the wrong way round", query(json!({ "min": "2", "max": "1.5" })), "min must not be over max"),
        create("a bound in words", query(json!({ "max": "few" })), QUERIES),
        create(
            "two queries of one name",
            on(json!({ "queries": [
                { "name": "a", "query": "x", "max": "1" }, { "name": "a", "query": "y", "max": "1" },
            ] })),
            "Duplicate value",
        ),
        create("a Prometheus by FTP", on(json!({ "url": "ftp://prometheus.example.org" })), URL),
        create("a Prometheus with a password", on(json!({ "url": "https://a:b@prometheus.example.org" })), URL),
        create("a Prometheus with a query", on(json!({ "url": "https://prometheus.example.org?a=b" })), URL),
        create(
            "a token in the clear",
            on(json!({ "url": "http://prometheus:9090", "tokenSecretRef": { "name": "a" } })),
            HTTPS,
        ),
        create(
            "authorities without TLS",
            on(json!({ "url": "http://prometheus:9090", "caSecretRef": { "name": "a" } })),
            HTTPS,
        ),
    ]
}
