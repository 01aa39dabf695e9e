//! Accepts connections and speaks HTTP/1.1 on them until they end or become WebSockets.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::ApiError;

/// Time for the head of a request, from the first byte a connection could send; ends connections that only hold a place.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a whole request. Generous: a full hash pool answers within a second or two.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause when the process is out of file descriptors: without one, accepting would spin until a client leaves.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop`; connections that were accepted go on.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Frames are small and wait for nobody.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended while it was accepted");
                    continue;
                }
                let router = router.clone();
                tokio::spawn(Box::pin(connection(stream, peer, router)));
            }
            Err(error) if is_about_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted at this moment");
                sleep(EXHAUSTED_PAUSE).await;
            }
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

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "a connection ended in an error");
    }
}

async fn answer(mut router: Router, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    match timeout(REQUEST_TIME, router.call(request)).await {
        Ok(answered) => answered,
        Err(_) => {
            let late = ApiError::new(StatusCode::REQUEST_TIMEOUT, "bad_request", "the request took too long");
            Ok(late.into_response())
        }
    }
}
