//! Refusals about traces.

use serde_json::{Value, json};

use super::{Refusal, create, update};

pub(super) fn refusals() -> Vec<Refusal> {
    const ENDPOINT: &str =
        "spec.gateways.tracing.endpoint: is no base of an OTLP receiver over HTTP; use http:// or https:// with a host";
    let on = |tracing: Value| json!({ "gateways": { "tracing": tracing } });
    let to = |name, endpoint: &str| create(name, on(json!({ "endpoint": endpoint })), ENDPOINT);
    vec![
        create("traces for nobody", on(json!({})), "spec.gateways.tracing.endpoint"),
        to("traces over gRPC", "grpc://collector:4317"),
        to("traces without a scheme", "collector.observability:4318"),
        to("traces with a password", "http://ann:secret@collector:4318"),
        to("traces with a query", "http://collector:4318/?key=secret"),
        to("traces without a host", "http://:4318"),
        to("traces to a port of a name", "http://collector:otlp"),
        create(
            "more traces than messages",
            on(json!({ "endpoint": "http://collector:4318", "samplingRatePerMillion": 1_000_001 })),
            "spec.gateways.tracing.samplingRatePerMillion",
        ),
        create(
            "fewer traces than none",
            on(json!({ "endpoint": "http://[fd00::1]:4318/otel", "samplingRatePerMillion": -1 })),
            "spec.gateways.tracing.samplingRatePerMillion",
        ),
        update("traces over gRPC, later", on(json!({ "endpoint": "grpc://collector:4317" })), ENDPOINT),
    ]
}
