//! Watches that the API server ends, since it has forgotten what they would go on from.

use chat_operator::{
    args::Scope,
    controller::{self, Settings},
};
use tokio_util::sync::CancellationToken;

use super::*;

/// The operator looks again within this time when nothing disturbs it.
const CALM: Duration = Duration::from_secs(3);

/// An operator that watches, until it is dropped.
pub(super) async fn operate(client: kube::Client) {
    let (context, news) = support::context_with_news(client);
    let settings = Settings { scope: Scope::One("chat".to_owned()), concurrency: 4 };
    Box::pin(controller::run(context, settings, news, CancellationToken::new())).await;
}

/// Waits until nothing was asked for a while.
async fn calm(server: &ApiServer) {
    loop {
        let before = server.requests();
        tokio::time::sleep(CALM).await;
        if server.requests() == before {
            return;
        }
    }
}

#[tokio::test]
async fn what_is_watched_is_listed_once_more_and_nothing_is_applied_anew() {
    let world = World::settled().await;
    let server = &world.server;
    let operator = tokio::spawn(operate(server.real_client("one")));
    calm(server).await;
    let watched: Vec<String> = server.reads().into_iter().filter(|read| read.starts_with("watch ")).collect();
    assert!(watched.len() >= 14, "{watched:?}");
    let children = world.children();
    server.kill(None);
    let before = server.requests();
    server.forget();
    // Each begins anew after a pause of its own.
    while !watched.iter().all(|watch| server.reads().contains(watch)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    calm(server).await;

    let reads = server.reads();
    for watch in &watched {
        let path = watch.strip_prefix("watch ").unwrap();
        let count = |what: &str| reads.iter().filter(|read| *read == what).count();
        assert_eq!(count(watch), 1, "{path} is watched again");
        assert_eq!(count(path), 2, "{path}: the first list broke off after a page, the second one is whole");
    }
    assert_eq!(server.writes(), [], "something was written");
    let requests = server.requests() - before;
    println!("all watches expired, {} of them: {requests} requests", watched.len());
    // For each watch two lists and a page, and the watch; then a pass or two.
    assert!(requests <= watched.len() * 4 + 40, "{requests} requests");
    assert_eq!(world.children(), children);

    // And they tell again of what happens.
    let path = "/apis/apps/v1/namespaces/chat/statefulsets/demo-redis";
    server.remove(path).unwrap();
    while server.get(path).is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    operator.abort();
}
