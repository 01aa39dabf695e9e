//! Instant queries to a Prometheus, or to what answers as one: small answers, in bounded time, over verified TLS where the URL says so. Redirects are
//! not followed.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, Uri, body::Bytes, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::sensitive::Sensitive;

/// A Prometheus cancels what takes two minutes; what is asked every few seconds has to be quick.
const TIMEOUT: Duration = Duration::from_secs(5);
/// One number with its labels is some hundred bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Letters of the server's own words that are passed on.
const MAX_WORDS: usize = 200;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Not a URL that can be asked.
    #[error("{0} is no http or https URL")]
    Url(String),
    /// Nobody answers there.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// Too late.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The authorities that are given are none.
    #[error("the certificates of authorities cannot be used: {0}")]
    Authorities(String),
    /// What came was no HTTP.
    #[error("broken answer: {0}")]
    Http(#[from] hyper::Error),
    /// The request could not be made: a token with a line break in it, for instance.
    #[error("failed to make the request: {0}")]
    Request(#[from] hyper::http::Error),
    /// Too much came, or it ended in the middle.
    #[error("answer too large or cut off")]
    Body,
    /// The server refused, with a sentence if it had one.
    #[error("answered with status {0}{1}")]
    Refused(StatusCode, String),
    /// What came was no answer of a Prometheus, or not one with numbers of one moment.
    #[error("the answer is no number of a Prometheus: {0}")]
    Json(#[from] serde_json::Error),
    /// There is nothing that the query is about.
    #[error("the query has no result; where that is right, add `or vector(0)`")]
    Nothing,
    /// More than one number.
    #[error("the query has {0} results; make them one, such as by sum()")]
    Several(usize),
    /// Not a number, such as nothing divided by nothing.
    #[error("the result is {0}, which is no number")]
    NoNumber(String),
}

/// Where a Prometheus is, and what it is asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its URL, `/api/v1/query` left out.
    pub url: String,
    /// Bearer token; sent over https only.
    pub token: Option<Sensitive>,
    /// Certificates of authorities, PEM; the public ones if absent.
    pub authorities: Option<Sensitive>,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Sample),
    Vector(Vec<Series>),
}

#[derive(Deserialize)]
struct Series {
    value: Sample,
}

/// Time, and the value as text.
#[derive(Deserialize)]
struct Sample(serde::de::IgnoredAny, String);

impl Source {
    /// Asks for the value of `query` now.
    ///
    /// # Errors
    /// [`QueryError`]: whenever there is not exactly one number.
    pub async fn ask(&self, query: &str) -> Result<f64, QueryError> {
        // On the heap: the future of a request is large.
        let answer = Box::pin(self.request(query));
        let (status, body) = tokio::time::timeout(TIMEOUT, answer).await.map_err(|_| QueryError::Timeout)??;
        value(status, &body)
    }

    async fn request(&self, query: &str) -> Result<(StatusCode, Bytes), QueryError> {
        let refused = || QueryError::Url(self.url.clone());
        let uri: Uri = self.url.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused()),
        };
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let path = format!(
            "{}/api/v1/query?query={}",
            uri.path().trim_end_matches('/'),
            utf8_percent_encode(query, NON_ALPHANUMERIC)
        );
        let mut request = Request::builder()
            .uri(path)
            .header(header::HOST, authority.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close");
        if let Some(token) = self.token.as_ref().filter(|_| is_tls) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose().trim()));
        }
        let request = request.body(Empty::new())?;
        let stream = TcpStream::connect((host, port)).await.map_err(QueryError::Connect)?;
        if !is_tls {
            return send(stream, request).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| refused())?;
        let stream = self.tls()?.connect(name, stream).await.map_err(QueryError::Connect)?;
        send(stream, request).await
    }

    fn tls(&self) -> Result<TlsConnector, QueryError> {
        let unusable = |error: String| QueryError::Authorities(error);
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
                    let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                    roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<(StatusCode, Bytes), QueryError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|_| QueryError::Body)?;
    Ok((status, body.to_bytes()))
}

/// The one number of an answer.
fn value(status: StatusCode, body: &[u8]) -> Result<f64, QueryError> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    if !status.is_success() {
        let words: String = answer.map(|answer| answer.error.chars().take(MAX_WORDS).collect()).unwrap_or_default();
        return Err(QueryError::Refused(status, if words.is_empty() { words } else { format!(": {words}") }));
    }
    let sample = match answer?.data {
        Some(Data::Scalar(sample)) => sample,
        Some(Data::Vector(mut series)) => match (series.pop(), series.len()) {
            (Some(series), 0) => series.value,
            (Some(_), more) => return Err(QueryError::Several(more + 1)),
            (None, _) => return Err(QueryError::Nothing),
        },
        None => return Err(QueryError::Nothing),
    };
    let Sample(_, text) = sample;
    text.parse().ok().filter(|value: &f64| !value.is_nan()).ok_or(QueryError::NoNumber(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<f64, String> {
        value(StatusCode::OK, body.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_number_is_an_answer_and_nothing_else_is() {
        let vector = |values: &[&str]| {
            let one = |value: &&str| format!(r#"{{"metric":{{"a":"b"}},"value":[1435781451.781,"{value}"]}}"#);
            let all = values.iter().map(one).collect::<Vec<_>>().join(",");
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{all}]}}}}"#)
        };
        assert_eq!(read(&vector(&["0.25"])), Ok(0.25));
        assert_eq!(read(&vector(&["+Inf"])), Ok(f64::INFINITY));
        assert_eq!(read(r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"3"]}}"#), Ok(3.0));
        assert!(read(&vector(&["NaN"])).unwrap_err().contains("NaN"));
        assert!(read(&vector(&[])).unwrap_err().contains("no result"));
        assert!(read(&vector(&["1", "2"])).unwrap_err().contains("2 results"));
        let matrix =
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}"#;
        assert!(read(matrix).unwrap_err().contains("unknown variant `matrix`"));
        read("<html>").unwrap_err();
    }

    #[test]
    fn a_refusal_says_why_if_it_says_anything() {
        let refused = |body: &str| value(StatusCode::BAD_REQUEST, body.as_bytes()).unwrap_err().to_string();
        let told = refused(r#"{"status":"error","errorType":"bad_data","error":"parse error at char 3"}"#);
        assert_eq!(told, "answered with status 400 Bad Request: parse error at char 3");
        assert_eq!(refused("nonsense"), "answered with status 400 Bad Request");
    }
}
