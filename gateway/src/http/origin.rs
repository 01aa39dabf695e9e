//! Pages on other hosts: which of them may connect from a browser (RFC 6454), and what their browsers are told (the Fetch standard's CORS).
//!
//! No request here is authorised by something that a browser adds by itself, such as a cookie: a foreign page has no token to send. The
//! check of WebSockets is for the day on which a client keeps its token where a foreign page could make use of it.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use chat_gateway_config::{AllowedOrigin, Origin};

use super::ApiError;
use crate::protocol::ErrorCode;

/// What a page may ask for with a header, and what it may read in an answer beside the body.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type");
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static("retry-after");
/// Seconds that a browser may remember an answer to a preflight.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// What answers depend on, for caches between here and the browser.
const ORIGIN: HeaderValue = HeaderValue::from_static("origin");

/// Where a request comes from, as far as browsers tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// No browser, or a page of this very host.
    Own,
    /// A page on another host that is on the list; its origin as it was written.
    Listed(HeaderValue),
    /// A page on another host that is not.
    Foreign,
}

impl Source {
    /// Of a request with these headers.
    pub(super) fn of(headers: &HeaderMap, allowed: &[AllowedOrigin]) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (origin, more) = (origins.next(), origins.next());
        let Some(written) = origin else { return Self::Own };
        // Which of two would count is anybody's guess; no browser sends two.
        let origin: Option<Origin> = if more.is_some() { None } else { read(written) };
        let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        match (&origin, hosts.next(), hosts.next()) {
            (Some(origin), Some(host), None) if origin.is_of_host(host) => Self::Own,
            _ if more.is_none() && allowed.iter().any(|entry| entry.admits(origin.as_ref())) => {
                Self::Listed(written.clone())
            }
            _ => Self::Foreign,
        }
    }

    /// Lets a page on another host in only if it is on the list.
    pub(super) fn admit(&self) -> Result<(), ApiError> {
        match self {
            Self::Own | Self::Listed(_) => Ok(()),
            Self::Foreign => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Forbidden,
                "pages of this origin may not connect here; whoever runs this gateway can add it to http.allowedOrigins",
            )),
        }
    }

    /// The answer to a question that a browser asks before a page's request, if this is one.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let Self::Listed(_) = self else { return None };
        asks.then(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
            response
        })
    }

    /// Tells the browser of a listed page that it may have the answer; the browser keeps it from all others.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, ORIGIN);
        if let Self::Listed(origin) = self {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

/// The one host that a request names, if it looks like one.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => plain(host),
        _ => None,
    }
}

/// What may be the name of a host, with or without a port, and goes into an answer as it is.
fn plain(host: &HeaderValue) -> Option<&str> {
    let host = host.to_str().ok()?;
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    (is_plain && !host.is_empty()).then_some(host)
}

fn read(origin: &HeaderValue) -> Option<Origin> {
    origin.to_str().ok()?.parse().ok()
}

/// The headers that keep a page safe. `connect-src` names the host with ws: and wss:, since 'self' does not cover them in every browser.
pub(super) fn protect(headers: &mut HeaderMap, host: Option<&HeaderValue>) {
    const BEFORE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'";
    const AFTER: &str = "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
    let sockets = host.and_then(plain).map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    if let Ok(policy) = HeaderValue::from_str(&format!("{BEFORE}{sockets}{AFTER}")) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    const OTHERS: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in OTHERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers with tokens must be in no cache; the files of the page say something else themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(headers: &[(HeaderName, &'static str)], allowed: &[&str]) -> Source {
        let allowed: Vec<AllowedOrigin> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        Source::of(&map, &allowed)
    }

    #[test]
    fn a_page_is_of_this_host_or_listed_or_foreign() {
        let host = (header::HOST, "chat.example.org");
        let from = |origin| (header::ORIGIN, origin);
        let listed = |origin| Source::Listed(HeaderValue::from_static(origin));
        let other = "https://app.example";
        assert_eq!(source(std::slice::from_ref(&host), &[]), Source::Own, "no browser");
        assert_eq!(source(&[host.clone(), from("https://chat.example.org")], &[]), Source::Own);
        assert_eq!(source(&[host.clone(), from(other)], &[]), Source::Foreign);
        assert_eq!(source(&[host.clone(), from(other)], &[other]), listed(other));
        assert_eq!(source(&[host.clone(), from("http://app.example")], &[other]), Source::Foreign);
        assert_eq!(source(&[host.clone(), from("null")], &[other]), Source::Foreign);
        assert_eq!(source(&[host.clone(), from("null")], &["*"]), listed("null"));
        assert_eq!(source(&[host.clone(), from(other), from("https://chat.example.org")], &["*"]), Source::Foreign);
        assert_eq!(source(&[host.clone(), host.clone(), from("https://chat.example.org")], &[]), Source::Foreign);
        assert_eq!(source(&[from("https://chat.example.org")], &[]), Source::Foreign, "no host to compare with");
    }

    #[test]
    fn a_host_that_is_none_does_not_get_into_the_policy() {
        let policy = |host: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            protect(&mut headers, host.map(HeaderValue::from_static).as_ref());
            headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
        };
        assert!(policy(Some("a.example:80")).contains("connect-src 'self' ws://a.example:80 wss://a.example:80;"));
        for bad in [None, Some(""), Some("a; script-src *"), Some("a b"), Some("a,b"), Some("'self'")] {
            assert!(policy(bad).contains("connect-src 'self';"), "{bad:?}");
        }
    }
}
