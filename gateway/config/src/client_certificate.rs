//! What a gateway shows to a server that asks for a certificate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A certificate and its private key, PEM; both are read again for every session, so a renewed one needs no restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificate {
    /// File with the certificate, and those between it and its authority.
    pub certificate_file: PathBuf,
    /// File with the private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_file: PathBuf,
}
