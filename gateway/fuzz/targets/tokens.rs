//! Tokens that clients present.

use std::sync::{Arc, LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_gateway::{
    auth::{Accounts, Authenticator, Ed25519Tokens, RefreshTokens, Tokens as _, oidc::Issuers},
    store::memory::MemoryStore,
};
use ring::signature::Ed25519KeyPair;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

/// A key for this purpose only.
pub(super) const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
pub(super) const CLUSTER: &str = "local/chat";

struct Gate {
    runtime: tokio::runtime::Runtime,
    tokens: Authenticator,
    refresh: RefreshTokens,
    pair: Ed25519KeyPair,
}

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let own = Ed25519Tokens::new(KEY.as_bytes(), CLUSTER, 3_600).expect("the key is one");
    let accounts = Arc::new(Accounts::new(Arc::new(MemoryStore::new())));
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).expect("the key is PEM");
    Gate {
        runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
        tokens: Authenticator::new(own, Issuers::default(), accounts),
        refresh: RefreshTokens::new(KEY.as_bytes()).expect("the key is one"),
        pair: Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).expect("the key is Ed25519"),
    }
});

/// An access token: as it comes; and header and claims, a line each, under a good signature, since nothing else gets past the check of it.
pub(super) fn access(data: &[u8]) {
    let gate = &*GATE;
    let verify = |token: &str| gate.runtime.block_on(gate.tokens.verify(token));
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(verify(text).is_err(), "nobody signed this");
    }
    let (header, claims) = split(data);
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(gate.pair.sign(signed.as_bytes()));
    if let Ok(accepted) = verify(&format!("{signed}.{signature}")) {
        // In what nobody reads there may be anything: it is signed by the cluster itself.
        let claims = String::from_utf8_lossy(claims);
        let claims: serde_json::Value = serde_json::from_str(&claims).expect("what was accepted is JSON");
        assert_eq!(claims["iss"], CLUSTER);
        assert_eq!(claims["sub"].as_str().map(str::to_lowercase), Some(accepted.user.id.to_string()));
        let header = String::from_utf8_lossy(header);
        let header: serde_json::Value = serde_json::from_str(&header).expect("what was accepted is JSON");
        assert_eq!(header["alg"], "EdDSA");
    }
}

/// A refresh token. One that is read is one that was written.
pub(super) fn refresh(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(token) = GATE.refresh.read(text) {
        assert_eq!(GATE.refresh.write(&token), text);
    }
}

/// The first line, and the rest.
pub(super) fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}
