//! A gateway that believes issuers.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chat_gateway::{embedded, serve, store::memory::MemoryStore};
use chat_gateway_config::{Oidc, stats::GatewayStats};
use chat_test_client::{accounts, socket, wire::Body};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::issuer::AUDIENCE;

pub(crate) struct Place {
    pub(crate) at: String,
    pub(crate) admin: String,
    pub(crate) admin_token: String,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) stop: CancellationToken,
    pub(crate) _folder: TempDir,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Place {
    pub(crate) async fn open(issuers: &[&str]) -> Self {
        Self::open_with(issuers, None).await
    }

    pub(crate) async fn open_with(issuers: &[&str], ca_file: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let mut config = embedded::prepare(folder.path(), local, local).unwrap();
        let oidc = |issuer: &&str| -> Oidc {
            serde_json::from_value(json!({ "issuer": issuer, "audience": AUDIENCE, "caFile": ca_file })).unwrap()
        };
        config.auth.oidc = issuers.iter().map(oidc).collect();
        config.validate().unwrap();
        let admin_token = std::fs::read_to_string(&config.admin_token_file).unwrap().trim().to_owned();
        let stop = CancellationToken::new();
        let store = Arc::new(MemoryStore::new());
        let gateway = serve::Gateway::start(config, "alone".into(), store.clone(), stop.clone()).await.unwrap();
        let (at, admin) = (gateway.address.to_string(), gateway.admin_address.to_string());
        Self { at, admin, admin_token, store, stop, _folder: folder }
    }

    /// Status and code of a request with this token.
    pub(crate) async fn ask(&self, token: &str) -> (u16, String) {
        let (status, body) = accounts::get(&self.at, "/v1/sessions", Some(token)).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status.as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) async fn accepts(&self, what: &str, token: &str) {
        assert_eq!(self.ask(token).await, (200, String::new()), "{what}");
    }

    pub(crate) async fn refuses(&self, what: &str, token: &str, code: &str) {
        assert_eq!(self.ask(token).await, (401, code.to_owned()), "{what}");
    }

    pub(crate) async fn eventually(&self, what: &str, token: &str, status: u16) {
        let begin = Instant::now();
        while self.ask(token).await.0 != status {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}: {:?}", self.ask(token).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("{what}: after {:?}", begin.elapsed());
    }

    pub(crate) async fn stats(&self) -> GatewayStats {
        let (_, body) = accounts::get(&self.admin, "/stats", Some(&self.admin_token)).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

/// The answer to `hello`, and the code of the close that follows a refusal.
pub(crate) async fn hello(place: &Place, token: &str) -> (Body, u16) {
    let (answer, code) = socket::greet(&place.at, token).await.unwrap();
    (answer, code.unwrap_or_default())
}
