//! An API server that takes its time, or never answers.

use chat_operator::lease::Candidate;
use kube::Client;

use super::*;

/// Each request takes this long.
const SLOW: Duration = Duration::from_secs(2);

impl World {
    /// The same world as an operator sees it whose client is a real one.
    fn as_real(&self) -> (Self, Client) {
        let client = self.server.real_client("real");
        (Self { server: self.server.clone(), context: Arc::new(support::context(client.clone())) }, client)
    }
}

/// What is changed is made, the status tells of it, and the Lease is kept for longer than a leader may go without renewing it.
#[tokio::test]
async fn a_slow_one_is_waited_for_and_the_lease_is_kept() {
    const PATH: &str = "/apis/apps/v1/namespaces/chat/statefulsets/demo-redis";
    let (world, client) = World::settled().await.as_real();
    world.server.slow(SLOW);
    let candidate = Candidate::new(client, "chat", "chat-operator", "one");
    let held = candidate.acquire().await;
    let work = async {
        let mut changed = world.server.get(&chat_cluster("demo")).unwrap();
        changed["metadata"]["generation"] = json!(2);
        world.server.put(&chat_cluster("demo"), changed);
        world.server.remove(PATH).unwrap();
        let before = world.server.requests();
        world.pass().await.unwrap();
        assert!(world.server.get(PATH).is_some());
        assert_eq!(world.condition("Ready").observed_generation, Some(2), "the status is of this generation");
        let requests = world.server.requests() - before;
        println!("a pass over a slow API server: {requests} requests");
        assert!(requests <= 45, "{requests} requests");
        // Longer than the deadline of 10 s.
        tokio::time::sleep(Duration::from_secs(8)).await;
    };
    candidate.lead(held, Box::pin(work)).await.unwrap();
}

/// The pass ends by itself, with few requests, and the pauses are the controller's.
#[tokio::test]
async fn a_pass_ends_soon_whatever_the_api_server_does() {
    let (world, _) = World::settled().await.as_real();
    let before = world.children();
    world.server.trouble(Some(trouble(503, "ServiceUnavailable", "unable to handle the request")));
    let requests = world.server.requests();
    let error = world.pass().await.unwrap_err();
    assert!(error.to_string().contains("unable to handle the request"), "{error}");
    let requests = world.server.requests() - requests;
    assert!((2..=3).contains(&requests), "{requests} requests");
    world.server.trouble(None);
    world.server.slow(Duration::from_secs(3_600));
    let error = world.pass().await.unwrap_err();
    assert!(format!("{error:?}").contains("did not answer within 10 s"), "{error:?}");
    world.server.slow(Duration::ZERO);
    world.pass().await.unwrap();
    assert_eq!(world.children(), before);
}
