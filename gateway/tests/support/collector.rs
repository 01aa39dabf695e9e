//! A collector of spans: takes OTLP over HTTP as OpenTelemetry's own types read it, or behaves badly.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, http::StatusCode, response::IntoResponse as _, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;

/// How a collector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It takes everything.
    Takes,
    /// It is overloaded.
    Refuses,
    /// It never answers.
    Hangs,
}

/// A collector on a port of its own, for as long as the test runs.
pub struct Collector {
    pub endpoint: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

/// A span, and whose it is.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub instance: String,
    pub span: Span,
}

impl Collector {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let kept = Arc::clone(&bodies);
        let take = move |body: Bytes| async move {
            kept.lock().unwrap().push(body);
            match manner {
                Manner::Takes => {}
                Manner::Refuses => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
                Manner::Hangs => std::future::pending().await,
            }
            ExportTraceServiceResponse::default().encode_to_vec().into_response()
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, bodies }
    }

    /// Everything that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.bodies.lock().unwrap().concat()
    }

    /// How many exports came.
    pub fn exports(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Recorded> {
        let bodies = self.bodies.lock().unwrap().clone();
        let requests = bodies.into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let mut spans = Vec::new();
        for resource in requests.flat_map(|request| request.resource_spans) {
            let of = resource.resource.unwrap().attributes;
            let instance = text(&of, "service.instance.id").unwrap();
            assert_eq!(text(&of, "service.name").as_deref(), Some("chat-gateway"));
            let ours = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(ours.map(|span| Recorded { instance: instance.clone(), span }));
        }
        spans
    }

    /// Waits until the spans are what is wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Recorded]) -> bool) -> Vec<Recorded> {
        let mut spans = Vec::new();
        for _ in 0..600 {
            spans = self.spans();
            if wanted(&spans) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not within a minute: {what}; {spans:#?}");
    }
}

/// The text of an attribute.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

/// The number of an attribute.
pub fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}
