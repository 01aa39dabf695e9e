//! Connections and requests.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Leading,
    access::Access,
    answers,
    front_proxy::FrontProxy,
    questions::Question,
    tls::{Present, Tls},
};

/// Connections at the same time; a few API servers keep some open.
const CONNECTIONS: usize = 64;
/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time between two requests on one connection. Autoscalers ask every 15 s.
const QUIET: Duration = Duration::from_secs(120);
/// Pause after a connection could not be accepted, such as for want of files.
const RETRY: Duration = Duration::from_millis(200);

/// Answers the API server.
#[derive(Clone)]
pub(super) struct Server {
    access: Arc<Access>,
    leading: Leading,
}

/// A refusal and why.
type Refusal = (StatusCode, String);

impl Server {
    pub(super) fn new(access: Access, leading: Leading) -> Self {
        Self { access: Arc::new(access), leading }
    }

    /// Accepts connections. Never returns.
    pub(super) async fn accept(&self, listener: TcpListener, tls: &Tls) {
        let seats = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
            let (stream, present) = match (listener.accept().await, tls.present()) {
                (Ok((stream, _)), Some(present)) => (stream, present),
                // Nobody is known yet who may connect.
                (Ok(_), None) => continue,
                (Err(error), _) => {
                    tracing::warn!(%error, "failed to accept a connection to the metrics APIs");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            let server = self.clone();
            tokio::spawn(async move {
                server.connection(stream, present).await;
                drop(seat);
            });
        }
    }

    async fn connection(self, stream: TcpStream, Present { config, proxy }: Present) {
        let stream = match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "somebody did not get through to the metrics APIs"),
            Err(_) => return,
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        if !shown.is_some_and(|certificate| proxy.is(certificate)) {
            return tracing::debug!("a client of the metrics APIs is not the API server's front proxy");
        }
        let service = service_fn(move |request: Request<Incoming>| {
            let (server, proxy) = (self.clone(), Arc::clone(&proxy));
            async move { Ok::<_, Infallible>(response(server.answer(&request, &proxy).await)) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(QUIET)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection to the metrics APIs broke");
        }
    }

    async fn answer<B>(&self, request: &Request<B>, proxy: &FrontProxy) -> Result<Value, Refusal> {
        let refuse = |code, message: &str| (code, message.to_owned());
        if request.method() != Method::GET {
            return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "metrics can only be read"));
        }
        let nobody = || refuse(StatusCode::UNAUTHORIZED, "the request does not say for whom it is made");
        let identity = proxy.identity(request.headers()).ok_or_else(nobody)?;
        let nothing = || refuse(StatusCode::NOT_FOUND, "there is no such metric");
        let question = Question::of(request.uri().path()).ok_or_else(nothing)?;
        let user = identity.user.clone();
        match self.access.allows(identity, question.clone()).await {
            Ok(true) => self.tell(&question),
            Ok(false) => Err((StatusCode::FORBIDDEN, format!("{user} may not read this"))),
            Err(error) => {
                tracing::warn!(error = format!("{:#}", anyhow::Error::from(error)), "failed to answer for metrics");
                Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "failed to find out whether that may be read"))
            }
        }
    }

    fn tell(&self, question: &Question) -> Result<Value, Refusal> {
        let (cluster, metric) = match question {
            Question::Groups => return Ok(answers::groups()),
            Question::Group(group) => return Ok(answers::group(*group)),
            Question::Resources(group) => return Ok(answers::resources(*group)),
            Question::Value(cluster, metric) => (cluster, Some(*metric)),
            Question::Load(cluster) => (cluster, None),
        };
        let unavailable = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
        let Some(poller) = self.leading.get() else {
            return Err(unavailable("this replica does not lead, so it asks no gateways"));
        };
        let Some(carried) = poller.carried(cluster) else {
            let message = format!("the operator serves no ChatCluster {}/{}", cluster.namespace, cluster.name);
            return Err((StatusCode::NOT_FOUND, message));
        };
        let known = match metric {
            Some(metric) => answers::value(cluster, metric, &carried),
            None => answers::load(cluster, &carried),
        };
        known.ok_or_else(|| unavailable("not all gateways have answered for long enough yet"))
    }
}

fn response(answer: Result<Value, Refusal>) -> Response<Full<Bytes>> {
    let (code, document) = match answer {
        Ok(document) => (StatusCode::OK, document),
        Err((code, message)) => (code, answers::failure(code, &message)),
    };
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
