//! Requests: small answers, in bounded time, over verified TLS. Redirects are not followed: metadata and keys are where the issuer
//! says, and nowhere else.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use url::{Host, Url};

use super::authorities::{Authorities, RootsError};

/// Time for a request and its answer.
const LIMIT: Duration = Duration::from_secs(5);
/// What issuers answer.
const JSON: &str = "application/json";
/// Bytes of an answer. Key sets of large issuers have some ten thousand.
const ANSWER_BYTES: usize = 512 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Not a URL that is asked: `https`, or `http` to this machine.
    #[error("{0} is neither https nor on this machine")]
    Url(String),
    /// Nobody answers there.
    #[error("failed to connect to {0}: {1}")]
    Connect(String, std::io::Error),
    /// What came was no HTTP, or too much of it.
    #[error("failed to read from {0}: {1}")]
    Http(String, String),
    /// Another status.
    #[error("{0} answered {1}")]
    Status(String, StatusCode),
    /// Too late.
    #[error("no answer from {0} within {limit} s", limit = LIMIT.as_secs())]
    Timeout(String),
}

impl FetchError {
    /// Word of `Component::reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Http(..) | Self::Status(..) => "ProtocolError",
            Self::Connect(..) => "ConnectionRefused",
            Self::Timeout(_) => "Timeout",
        }
    }
}

/// Asks one of them.
pub(crate) struct Fetcher {
    authorities: Authorities,
}

impl Fetcher {
    /// With these roots, or the public ones.
    pub(crate) fn new(ca_file: Option<&PathBuf>) -> Result<Self, RootsError> {
        Ok(Self { authorities: Authorities::open(ca_file)? })
    }

    /// GET.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        self.request(Method::GET, place(url, Plain::ThisMachine)?, None).await
    }

    /// POST of a form.
    pub(crate) async fn post_form(&self, url: &str, form: String) -> Result<Bytes, FetchError> {
        let body = Body { media_type: "application/x-www-form-urlencoded", accepts: JSON, bytes: form.into() };
        self.request(Method::POST, place(url, Plain::ThisMachine)?, Some(body)).await
    }

    /// POST of anything, to a place that the configuration names: without TLS if it says so.
    pub(crate) async fn post(&self, url: &str, media_type: &'static str, bytes: Bytes) -> Result<Bytes, FetchError> {
        self.request(
            Method::POST,
            place(url, Plain::Everywhere)?,
            Some(Body { media_type, accepts: media_type, bytes }),
        )
        .await
    }

    async fn request(&self, method: Method, place: Place, body: Option<Body>) -> Result<Bytes, FetchError> {
        let name = place.url.origin().ascii_serialization();
        match timeout(LIMIT, self.exchange(method, &place, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchError::Timeout(name)),
        }
    }

    async fn exchange(&self, method: Method, place: &Place, body: Option<Body>) -> Result<Bytes, FetchError> {
        let origin = place.url.origin().ascii_serialization();
        let stream = TcpStream::connect((place.host.as_str(), place.port))
            .await
            .map_err(|error| FetchError::Connect(origin.clone(), error))?;
        let mut request = Request::builder()
            .method(method)
            .uri(&place.url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(header::HOST, &place.url[url::Position::BeforeHost..url::Position::AfterPort])
            .header(header::ACCEPT, body.as_ref().map_or(JSON, |body| body.accepts));
        if let Some(body) = &body {
            request = request.header(header::CONTENT_TYPE, body.media_type);
        }
        let request = request
            .body(Full::new(body.map(|body| body.bytes).unwrap_or_default()))
            .map_err(|error| FetchError::Http(origin.clone(), error.to_string()))?;
        let Some(server) = place.server.clone() else { return send(stream, request, &origin).await };
        let stream = self
            .authorities
            .tls()
            .connect(server, stream)
            .await
            .map_err(|error| FetchError::Connect(origin.clone(), error))?;
        send(stream, request, &origin).await
    }
}

/// What is posted.
struct Body {
    media_type: &'static str,
    accepts: &'static str,
    bytes: Bytes,
}

/// Where plain HTTP will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    /// On this machine.
    ThisMachine,
    /// Wherever a configuration says.
    Everywhere,
}

struct Place {
    url: Url,
    host: String,
    port: u16,
    /// None over plain HTTP.
    server: Option<ServerName<'static>>,
}

fn place(text: &str, plain: Plain) -> Result<Place, FetchError> {
    let refused = || FetchError::Url(text.to_owned());
    let url = Url::parse(text).map_err(|_| refused())?;
    let host = url.host().ok_or_else(refused)?;
    let is_local = match &host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let plain = match url.scheme() {
        "https" => false,
        "http" if is_local || plain == Plain::Everywhere => true,
        _ => return Err(refused()),
    };
    let host = match host {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let server = if plain { None } else { Some(ServerName::try_from(host.clone()).map_err(|_| refused())?) };
    let port = url.port_or_known_default().ok_or_else(refused)?;
    Ok(Place { url, host, port, server })
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>, origin: &str) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: String| FetchError::Http(origin.to_owned(), error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
    // Ends with the sender.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
    if status == StatusCode::OK { Ok(body) } else { Err(FetchError::Status(origin.to_owned(), status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_https_and_this_machine_only() {
        for good in
            ["https://id.example.org/a?b=c", "http://127.0.0.1:9/x", "http://localhost/x", "https://[2001:db8::1]/"]
        {
            place(good, Plain::ThisMachine).unwrap();
        }
        for bad in ["http://id.example.org/", "http://169.254.169.254/", "file:///etc/passwd", "ftp://a/", "x"] {
            assert!(place(bad, Plain::ThisMachine).is_err(), "{bad}");
        }
    }
}
