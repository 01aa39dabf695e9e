//! Accepts connections and speaks HTTP/1.1 on them until they end or become WebSockets.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
};
use chat_gateway_config::Timeouts;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::{
    ApiError,
    places::{Places, Seated},
};
use crate::protocol::ErrorCode;

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause when the process is out of file descriptors all the same: without one, accepting would spin until a client leaves.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// Least time between two log lines that tell of it: who causes it can cause it for long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Accepts until `stop`, as long as there are places; connections that were accepted go on.
pub async fn serve(listener: TcpListener, router: Router, timeouts: Timeouts, places: Places, stop: CancellationToken) {
    let mut warnings = Warnings::default();
    loop {
        let seated = tokio::select! {
            seated = seat(&listener, &places, &mut warnings) => seated,
            () = stop.cancelled() => return,
        };
        let Some((seated, peer)) = seated else { continue };
        tokio::spawn(Box::pin(connection(seated, peer, router.clone(), timeouts)));
    }
}

/// Waits for a place, then for somebody to take it. Those who come meanwhile wait in the system's queue.
async fn seat(listener: &TcpListener, places: &Places, warnings: &mut Warnings) -> Option<(Seated, SocketAddr)> {
    let place: OwnedSemaphorePermit = match places.try_take() {
        Some(place) => place,
        None => {
            warnings.tell("all connections that the limit on open files leaves to clients are taken, more have to wait; raise it (ulimit -n, LimitNOFILE)");
            places.take().await?
        }
    };
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Frames are small and wait for nobody.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection ended while it was accepted");
                return None;
            }
            Some((Seated { stream, _place: place }, peer))
        }
        Err(error) if is_about_the_peer(&error) => None,
        Err(error) => {
            warnings.tell(&format!("no connection can be accepted at this moment: {error}"));
            sleep(EXHAUSTED_PAUSE).await;
            None
        }
    }
}

/// Tells of trouble now and then, not each time.
#[derive(Default)]
struct Warnings {
    last: Option<Instant>,
}

impl Warnings {
    fn tell(&mut self, what: &str) {
        if self.last.is_none_or(|last| last.elapsed() >= TELL_AGAIN) {
            self.last = Some(Instant::now());
            tracing::warn!("{what}");
        }
    }
}

fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

async fn connection(stream: Seated, peer: SocketAddr, router: Router, times: Timeouts) {
    let request_time = Duration::from_secs(times.request_seconds.into());
    let service = service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, request, request_time));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(times.head_seconds.into()))
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = match timeout(Duration::from_secs(times.connection_seconds.into()), served.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            // What was asked is answered still; who does not take the answer goes without.
            served.as_mut().graceful_shutdown();
            timeout(request_time, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended in an error");
    }
}

async fn answer(
    mut router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
    time: Duration,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    match timeout(time, router.call(request)).await {
        Ok(answered) => answered,
        Err(_) => {
            let late = ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::BadRequest, "the request took too long");
            Ok(late.into_response())
        }
    }
}
