//! OTLP, as far as spans need it: the messages of `opentelemetry/proto/collector/trace/v1`, field by field as its specification numbers them.

use prost::Message;

use super::span::{Kind, Span, Value, nanoseconds};

/// What a collector is sent.
#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

/// Whose spans they are.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct SpanRecord {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "any_value::Value", tags = "1, 2, 3")]
    value: Option<any_value::Value>,
}

mod any_value {
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(bool, tag = "2")]
        Flag(bool),
        #[prost(int64, tag = "3")]
        Number(i64),
    }
}

/// What a collector answers.
#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The semantic conventions that the names of attributes are from.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;

/// The flags of `traceparent`: it is recorded.
const RECORDED: u32 = 0x01;

/// A gateway of a cluster, as the resource of its spans.
pub(super) fn resource(cluster: &str, gateway: &str) -> Resource {
    let attributes = [
        ("service.name", "chat-gateway"),
        ("service.namespace", cluster),
        ("service.instance.id", gateway),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let text = |(key, value): (&str, &str)| pair(key, any_value::Value::Text(value.to_owned()));
    Resource { attributes: attributes.into_iter().map(text).collect() }
}

/// The body of one export.
pub(super) fn encode(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let scope = InstrumentationScope { name: "chat-gateway".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let spans = ScopeSpans { scope: Some(scope), spans: spans.iter().map(record).collect() };
    let resource = Some(resource.clone());
    let spans = ResourceSpans { resource, scope_spans: vec![spans], schema_url: SCHEMA.to_owned() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

/// How many spans a collector says that it did not take. An answer that cannot be read says nothing.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let partial = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

fn record(span: &Span) -> SpanRecord {
    let Span { context, parent, name, kind, start, end, attributes, error } = span;
    let mut attributes: Vec<KeyValue> = attributes.iter().map(|(key, value)| pair(key, any(value))).collect();
    attributes.extend(error.map(|error| pair("error.type", any_value::Value::Text(error.to_owned()))));
    SpanRecord {
        trace_id: context.trace.to_vec(),
        span_id: context.span.to_vec(),
        parent_span_id: parent.map(|parent| parent.span.to_vec()).unwrap_or_default(),
        name: (*name).to_owned(),
        kind: match kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
            Kind::Producer => 4,
            Kind::Consumer => 5,
        },
        start_time_unix_nano: nanoseconds(*start),
        end_time_unix_nano: nanoseconds(*end),
        attributes,
        status: error.map(|error| Status { message: error.to_owned(), code: ERROR }),
        flags: RECORDED,
    }
}

fn any(value: &Value) -> any_value::Value {
    match value {
        Value::Word(word) => any_value::Value::Text((*word).to_owned()),
        Value::Id(id) => any_value::Value::Text(id.to_string()),
        Value::Number(number) => any_value::Value::Number(*number),
        Value::Flag(flag) => any_value::Value::Flag(*flag),
    }
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}
