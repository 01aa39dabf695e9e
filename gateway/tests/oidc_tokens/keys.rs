//! Keys that come, go, and cannot be had.

use std::time::{Duration, Instant};

use chat_test_client::{accounts, wire::Body};

use crate::{
    issuer::{Issuer, p256},
    place::{Place, hello},
};

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_unknown_ones_do_not_make_the_gateway_hammer_the_issuer() {
    let (old, new) = (p256("old"), p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let place = Place::open(&[&issuer.url]).await;
    place.accepts("the old key", &issuer.token(&old, |_, _| {})).await;
    issuer.publish(&[&old, &new]);
    place.eventually("the new key is found", &issuer.token(&new, |_, _| {}), 200).await;
    place.accepts("the old key, while it is published", &issuer.token(&old, |_, _| {})).await;
    issuer.publish(&[&new]);
    let before = issuer.fetches();
    let begin = Instant::now();
    for n in 0..200 {
        let junk = issuer.token(&new, |header, _| header.kid = Some(format!("junk-{n}")));
        place.refuses("an unknown key", &junk, "unauthenticated").await;
    }
    let (asked, took) = (issuer.fetches() - before, begin.elapsed());
    println!("200 tokens with unknown keys in {took:?} made {asked} fetches");
    assert!(u64::from(asked) <= 1 + took.as_secs() / 10, "{asked} in {took:?}");
    // The next fetch takes the withdrawn key away.
    let begin = Instant::now();
    let withdrawn = issuer.token(&old, |_, _| {});
    let junk = issuer.token(&new, |header, _| header.kid = Some("more junk".to_owned()));
    while place.ask(&withdrawn).await.0 != 401 {
        assert!(begin.elapsed() < Duration::from_secs(60), "a withdrawn key is still believed");
        place.refuses("an unknown key", &junk, "unauthenticated").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_work_while_the_issuer_is_away_and_it_is_said() {
    let (old, new) = (p256("old"), p256("new"));
    let mut issuer = Issuer::start(&[&old]).await;
    let place = Place::open(&[&issuer.url]).await;
    place.accepts("while it is there", &issuer.token(&old, |_, _| {})).await;
    assert_eq!(place.stats().await.issuers[0].component.reason, "Connected");
    issuer.stop();
    // A token with an unknown key makes the gateway ask; until then it does not know that the issuer is away.
    let unknown = issuer.token(&new, |_, _| {});
    place.eventually("an unknown key cannot be told from a new one", &unknown, 503).await;
    place.accepts("a known key", &issuer.token(&old, |_, _| {})).await;
    let (answer, code) = hello(&place, &unknown).await;
    assert!(matches!(&answer, Body::Error(refusal) if refusal.code == "unavailable"), "{answer:?}");
    assert_eq!(code, 1012, "try again");
    let stats = place.stats().await;
    assert_eq!(stats.issuers[0].issuer, issuer.url);
    let component = &stats.issuers[0].component;
    assert!(!component.available && component.reason == "ConnectionRefused", "{component:?}");
    assert!(component.message.contains("1 keys are known"), "{component:?}");
    let (_, metrics) = accounts::get(&place.admin, "/metrics", None).await.unwrap();
    let line = format!("chat_gateway_backend_available{{backend=\"issuer:{}\"}} 0", issuer.url);
    assert!(String::from_utf8_lossy(&metrics).contains(&line));
    issuer.publish(&[&old, &new]);
    issuer.resume().await;
    place.eventually("the new key works when the issuer is back", &unknown, 200).await;
    assert!(place.stats().await.issuers[0].component.available);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_is_not_believed() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    "https://somebody.example.org".clone_into(&mut issuer.published.issuer.lock().unwrap());
    let place = Place::open(&[&issuer.url]).await;
    assert_eq!(place.ask(&issuer.token(&key, |_, _| {})).await, (503, "unavailable".to_owned()));
    let stats = place.stats().await;
    assert!(stats.issuers[0].component.message.contains("another issuer"), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_over_tls_that_is_verified() {
    let key = p256("a");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (issuer, pem) = Issuer::start_tls(listener, "127.0.0.1", &[&key]);
    let token = issuer.token(&key, |_, _| {});

    let public = Place::open(&[&issuer.url]).await;
    assert_eq!(public.ask(&token).await, (503, "unavailable".to_owned()), "nobody vouches for the certificate");
    let message = public.stats().await.issuers[0].component.message.clone();
    assert!(message.contains("certificate"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, pem).unwrap();
    let private = Place::open_with(&[&issuer.url], Some(file)).await;
    private.accepts("over TLS that leads to a root of the file", &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_change_under_a_gateway_and_what_is_no_use_changes_nothing() {
    let (old, new) = (p256("old"), p256("new"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (first, old_root) = Issuer::start_tls(listener, "127.0.0.1", &[&old]);
    std::fs::write(&file, &old_root).unwrap();
    let place = Place::open_with(&[&first.url], Some(file.clone())).await;
    let before = first.token(&old, |_, _| {});
    place.eventually("the keys are fetched", &before, 200).await;

    // The issuer gets another certificate, and another key, at the same place.
    first.stop();
    let listener = loop {
        match tokio::net::TcpListener::bind(first.address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let (second, new_root) = Issuer::start_tls(listener, "127.0.0.1", &[&new]);
    let after = second.token(&new, |_, _| {});
    place.eventually("nobody vouches for the new certificate yet", &after, 503).await;
    assert_eq!(second.fetches(), 0, "and its keys are not believed");
    place.accepts("known keys go on working", &before).await;

    std::fs::write(&file, "no certificate").unwrap();
    place.eventually("a file of no use", &after, 503).await;
    std::fs::write(&file, format!("{old_root}{new_root}")).unwrap();
    place.eventually("the changed file counts at the next fetch", &after, 200).await;
    assert!(place.stats().await.issuers[0].component.available);
}
