//! A genuine OpenID Connect provider: its access tokens are accepted, and people sign in at it in the real Chromium.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{process::Command, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chat_gateway::{embedded, serve, store::memory::MemoryStore};
use chat_gateway_config::Oidc;
use chat_test_client::{accounts, socket::Socket, wire::Body};
use hyper::Method;
use serde_json::{Value, json};
use support::{eventually, free_port, npm::packages, process::Process};
use tokio_util::sync::CancellationToken;

const AUDIENCE: &str = "urn:example:chat";
const MINUTE: Duration = Duration::from_secs(60);

struct Place {
    at: String,
    issuer: String,
    stop: CancellationToken,
    provider: Process,
    folder: tempfile::TempDir,
}

impl Place {
    async fn open() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let (issuer_port, port) = (free_port(), free_port());
        let issuer = format!("http://127.0.0.1:{issuer_port}");
        let at = format!("127.0.0.1:{port}");
        let mut command = Command::new("node");
        command.arg("provider.mjs").arg(issuer_port.to_string()).arg(format!("http://{at}/"));
        command.current_dir(packages("tests/oidc"));
        let log = temporary.path().join("provider.log");
        let provider = Process::start(&mut command, &log);
        let address = format!("127.0.0.1:{issuer_port}");
        eventually(&format!("the provider answers, see {}", log.display()), MINUTE, async || {
            let found = accounts::get(&address, "/.well-known/openid-configuration", None).await;
            found.is_ok_and(|(status, _)| status.is_success())
        })
        .await;
        let admin = "127.0.0.1:0".parse().unwrap();
        let mut config = embedded::prepare(temporary.path(), at.parse().unwrap(), admin).unwrap();
        let oidc: Oidc = serde_json::from_value(json!({
            "issuer": issuer, "audience": AUDIENCE, "clientId": "chat-page",
        }))
        .unwrap();
        config.auth.oidc.push(oidc);
        config.validate().unwrap();
        let stop = CancellationToken::new();
        serve::Gateway::start(config, "alone".into(), Arc::new(MemoryStore::new()), stop.clone()).await.unwrap();
        let place = Self { at, issuer, stop, provider, folder: temporary };
        eventually("the gateway knows the provider", MINUTE, async || {
            let (_, config) = accounts::get(&place.at, "/v1/config", None).await.unwrap();
            let config: Value = serde_json::from_slice(&config).unwrap();
            config["oidc"][0]["issuer"] == place.issuer
        })
        .await;
        place
    }

    /// An access token for this audience, as a program gets it.
    async fn access_token(&self, audience: &str) -> String {
        let address = self.issuer.trim_start_matches("http://");
        // RFC 6749, section 2.3.1: both halves are form-encoded before they become Basic credentials.
        let credentials = STANDARD.encode("machine:a+secret+for+tests+only");
        let headers = [
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("authorization", format!("Basic {credentials}")),
        ];
        let form = format!("grant_type=client_credentials&resource={audience}");
        let (status, body) =
            accounts::request(Method::POST, address, "/token", &headers, Bytes::from(form)).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(status.is_success(), "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn hello(&self, token: &str) -> Body {
        let mut socket = Socket::connect(&self.at).await.unwrap();
        socket.send(&json!({ "type": "hello", "id": 0, "token": token })).await.unwrap();
        socket.recv().await.unwrap().body
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
        self.provider.kill();
        let log = std::fs::read_to_string(self.folder.path().join("provider.log")).unwrap_or_default();
        if std::thread::panicking() {
            println!("the provider wrote:\n{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_of_a_genuine_provider_are_accepted() {
    let place = Place::open().await;
    let Body::Welcome(welcome) = place.hello(&place.access_token(AUDIENCE).await).await else { panic!("not welcome") };
    assert_eq!(welcome.user.name, "machine@127.0.0.1");
    let again = place.hello(&place.access_token(AUDIENCE).await).await;
    assert!(matches!(again, Body::Welcome(again) if again.user.id == welcome.user.id));
    let other = place.hello(&place.access_token("urn:example:shop").await).await;
    assert!(matches!(&other, Body::Error(refusal) if refusal.code == "unauthenticated"), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_the_provider_did_not_give_sign_nobody_in() {
    let place = Place::open().await;
    let login = |issuer: &str| {
        json!({
            "issuer": issuer, "code": "guessed", "code_verifier": "x".repeat(43), "nonce": "n",
            "redirect_uri": format!("http://{}/", place.at),
        })
    };
    for issuer in [place.issuer.as_str(), "https://evil.example.org", "http://169.254.169.254"] {
        let (status, body) = accounts::post(&place.at, "/v1/sign-in/oidc", None, &login(issuer)).await.unwrap();
        assert_eq!(status.as_u16(), 401, "{issuer}: {body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_at_the_provider_in_the_real_browser() {
    let place = Place::open().await;
    let mut command = tokio::process::Command::new("npm");
    command.args(["run", "--silent", "test:oidc"]).current_dir(packages("web"));
    command.env("CHAT_URL", format!("http://{}", place.at)).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let status = tokio::time::timeout(Duration::from_secs(180), command.status()).await.expect("it hangs").unwrap();
    assert!(status.success(), "the browser test failed, see above");
}
