//! The API server as a client: by which certificate it is known, and how it says for whom it asks. Pure.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// Members of this group are all who are known by name; servers add it themselves.
const AUTHENTICATED: &str = "system:authenticated";
const ANONYMOUS: &str = "system:anonymous";

/// What the API server says of its front proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrontProxy {
    /// Certificates of the authorities that sign its own, PEM.
    pub(super) authorities: String,
    /// Common names that it may have; any where there are none.
    names: Vec<String>,
    user_headers: Vec<String>,
    group_headers: Vec<String>,
    extra_prefixes: Vec<String>,
}

/// The API server does not say how its front proxy is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrontProxyError {
    /// A key is absent: the API server runs without an aggregation layer.
    #[error("the ConfigMap kube-system/extension-apiserver-authentication has no {0}")]
    Absent(&'static str),
    /// A key is no list of strings.
    #[error("failed to read {key} in the ConfigMap kube-system/extension-apiserver-authentication")]
    Broken {
        key: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

/// Somebody for whom the API server asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

impl FrontProxy {
    pub(super) fn read(map: &ConfigMap) -> Result<Self, FrontProxyError> {
        let text = |key: &'static str| {
            let found = map.data.as_ref().and_then(|data| data.get(key)).filter(|value| !value.trim().is_empty());
            found.ok_or(FrontProxyError::Absent(key))
        };
        // A list that is absent is not taken for an empty one: no names would mean any name.
        let list = |key: &'static str| -> Result<Vec<String>, FrontProxyError> {
            serde_json::from_str(text(key)?).map_err(|source| FrontProxyError::Broken { key, source })
        };
        Ok(Self {
            authorities: text("requestheader-client-ca-file")?.clone(),
            names: list("requestheader-allowed-names")?,
            user_headers: list("requestheader-username-headers")?,
            group_headers: list("requestheader-group-headers")?,
            extra_prefixes: list("requestheader-extra-headers-prefix")?,
        })
    }

    /// Whether a certificate, which one of the authorities has signed, is the front proxy's.
    pub(super) fn is(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        self.names.is_empty() || name.is_some_and(|name| self.names.iter().any(|allowed| allowed == name))
    }

    /// For whom a request is made; `None` when it does not say.
    pub(super) fn identity(&self, headers: &HeaderMap) -> Option<Identity> {
        let all = |names: &[String]| -> Vec<String> {
            let values = names.iter().flat_map(|name| headers.get_all(name.as_str()));
            values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
        };
        let user = all(&self.user_headers).into_iter().find(|user| !user.is_empty())?;
        let mut groups = all(&self.group_headers);
        if user != ANONYMOUS && !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for prefix in self.extra_prefixes.iter().map(|prefix| prefix.to_ascii_lowercase()) {
            for (name, value) in headers {
                // Header names are lower case in hyper.
                let (Some(key), Ok(value)) = (name.as_str().strip_prefix(&prefix), value.to_str()) else { continue };
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                extra.entry(key).or_default().push(value.to_owned());
            }
        }
        Some(Identity { user, groups, extra })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::extension) fn config_map(authorities: &str, names: &[&str]) -> ConfigMap {
        serde_json::from_value(json!({ "metadata": { "name": "extension-apiserver-authentication" }, "data": {
            "client-ca-file": "another",
            "requestheader-client-ca-file": authorities,
            "requestheader-allowed-names": json!(names).to_string(),
            "requestheader-username-headers": "[\"X-Remote-User\"]",
            "requestheader-group-headers": "[\"X-Remote-Group\"]",
            "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
        } }))
        .unwrap()
    }

    #[test]
    fn an_api_server_without_aggregation_has_no_front_proxy() {
        let whole = config_map("pem", &["front-proxy-client"]);
        FrontProxy::read(&whole).unwrap();
        for key in ["requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-username-headers"] {
            let mut map = whole.clone();
            map.data.as_mut().unwrap().remove(key);
            let error = FrontProxy::read(&map).unwrap_err();
            assert!(error.to_string().ends_with(key), "{error}");
            map.data.as_mut().unwrap().insert(key.to_owned(), "none".to_owned());
            assert_eq!(FrontProxy::read(&map).is_ok(), key.ends_with("file"), "{key} is no list");
        }
    }

    #[test]
    fn a_request_says_for_whom_it_is_made() {
        let proxy = FrontProxy::read(&config_map("pem", &[])).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(proxy.identity(&headers), None);
        headers.append("x-remote-user", "system:serviceaccount:kube-system:hpa".parse().unwrap());
        for group in ["system:serviceaccounts", "system:authenticated"] {
            headers.append("x-remote-group", group.parse().unwrap());
        }
        headers.append("x-remote-extra-example.org%2fscope", "all".parse().unwrap());
        let identity = proxy.identity(&headers).unwrap();
        assert_eq!(identity.user, "system:serviceaccount:kube-system:hpa");
        assert_eq!(identity.groups, ["system:serviceaccounts", "system:authenticated"]);
        assert_eq!(identity.extra, BTreeMap::from([("example.org/scope".to_owned(), vec!["all".to_owned()])]));
        // The API server's own questions name no group, and it counts on servers that know this.
        let own = HeaderMap::from_iter([("x-remote-user".parse().unwrap(), "system:kube-aggregator".parse().unwrap())]);
        assert_eq!(proxy.identity(&own).unwrap().groups, ["system:authenticated"]);
        let nobody = HeaderMap::from_iter([("x-remote-user".parse().unwrap(), ANONYMOUS.parse().unwrap())]);
        assert_eq!(proxy.identity(&nobody).unwrap().groups, Vec::<String>::new());
    }
}
