//! Access tokens of an OpenID Connect issuer whose certificate only an authority of its own vouches for.

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{socket::greet, wire::Body};
use e2e::{ChatCluster, Namespace, World, manifest};
use jsonwebtoken::Header;
use serde_json::{Value, json};

use crate::{
    outside::{
        self,
        issuer::{AUDIENCE, Issuer, p256},
    },
    shared::{SETTLE_LIMIT, turn},
};

/// Name of the issuer's Service.
const SERVICE: &str = "id";
/// The Secret with its authority.
const CA_SECRET: &str = "issuer-ca";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn tokens_of_an_issuer_open_connections_and_those_of_others_do_not() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-sign-in").await?;
    let host = outside::address(&world).await?;
    let name = outside::name(SERVICE, &namespace.name);
    outside::introduce(&world, &namespace.name, SERVICE, host).await?;
    let (key, forged) = (p256("a"), p256("a"));
    let listener = tokio::net::TcpListener::bind((host, 0)).await?;
    let (issuer, authority) = Issuer::start_tls(listener, &name, &[&key]);

    let mut manifest = manifest::embedded_for_load()?;
    let trusted = json!({ "issuer": issuer.url, "audience": AUDIENCE, "caSecretRef": { "name": CA_SECRET } });
    manifest["spec"]["auth"] = json!({ "oidc": [trusted] });
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest).await?;
    let names = ["spec.auth.oidc[0].caSecretRef", CA_SECRET];
    cluster.wait_told("Ready", &["SecretNotFound"], &names, SETTLE_LIMIT).await?;
    let secret = outside::secret(CA_SECRET, &json!({ "ca.crt": authority }));
    outside::apply(&world, &namespace.name, &[secret]).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;

    let gateway = cluster.gateway_addresses().await?.pop().context("no gateway is ready")?;
    let good = issuer.token(&key, |_, _| {});
    let (answer, _) = greet(&gateway, &good).await?;
    let Body::Welcome(welcome) = answer else { anyhow::bail!("not welcome: {answer:?}") };
    ensure!(welcome.user.name == format!("ann@{name}"), "{:?}", welcome.user);
    let elsewhere = |_: &mut Header, claims: &mut Value| claims["aud"] = json!("https://shop.example.org");
    for (what, token) in [
        ("a token that another key signed", issuer.token(&forged, |_, _| {})),
        ("a token for another audience", issuer.token(&key, elsewhere)),
    ] {
        let (answer, code) = greet(&gateway, &token).await?;
        let is_refused = matches!(&answer, Body::Error(refusal) if refusal.code == "unauthenticated");
        ensure!(is_refused && code == Some(4401), "{what}: {answer:?}, {code:?}");
    }
    let (again, _) = greet(&gateway, &good).await?;
    ensure!(matches!(&again, Body::Welcome(again) if again.user.id == welcome.user.id), "{again:?}");
    namespace.discard().await
}
