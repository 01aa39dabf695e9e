//! A Lease that is lost in the middle of work: whoever has it writes, and nobody else.

use chat_operator::lease::{Candidate, LeaseLost};

use super::{watches::operate, *};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/chat/leases/chat-operator";
/// Somebody takes this away all the time, so that there is always something to write.
const PATH: &str = "/apis/apps/v1/namespaces/chat/statefulsets/demo-redis";

/// What a process of the operator does: it waits for the Lease, works, and ends when it is lost.
async fn process(server: ApiServer, name: &'static str) -> LeaseLost {
    let client = server.real_client(name);
    let candidate = Candidate::new(client.clone(), "chat", "chat-operator", name);
    let held = candidate.acquire().await;
    match candidate.lead(held, Box::pin(operate(client))).await {
        Ok(()) => panic!("the work ended by itself"),
        Err(lost) => lost,
    }
}

/// Takes the child away all the time.
async fn gnaw(server: ApiServer) {
    loop {
        server.remove(PATH);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Who wrote, Leases left out, in order.
fn writers(server: &ApiServer) -> Vec<String> {
    let writes = server.writes().into_iter().filter(|write| !write.path.contains("/leases"));
    writes.map(|write| write.client).collect()
}

async fn wait_for_writes(server: &ApiServer, client: &str, count: usize) {
    while writers(server).iter().filter(|writer| *writer == client).count() < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_leader_that_was_replaced_in_the_middle_of_a_pass_writes_no_more() {
    let world = World::settled().await;
    let server = &world.server;
    // So that a pass lasts.
    server.slow(Duration::from_millis(100));
    let gnawing = tokio::spawn(gnaw(server.clone()));
    let leader = tokio::spawn(process(server.clone(), "one"));
    wait_for_writes(server, "one", 3).await;
    let mut lease = server.get(LEASE).unwrap();
    lease["spec"]["holderIdentity"] = json!("somebody");
    server.put(LEASE, lease);
    let lost = leader.await.unwrap();
    assert!(lost.to_string().contains("another replica took it"), "{lost}");
    // What was on its way when it learned of it may still arrive, and nothing after that.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = (server.requests(), writers(server).len());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((server.requests(), writers(server).len()), before, "it still asks or writes");
    gnawing.abort();
}

/// The leader reaches everything but its Lease: it ends before the other one begins.
#[tokio::test]
async fn of_two_operators_one_writes_at_a_time() {
    let world = World::settled().await;
    let server = &world.server;
    let gnawing = tokio::spawn(gnaw(server.clone()));
    let first = tokio::spawn(process(server.clone(), "one"));
    wait_for_writes(server, "one", 3).await;
    let second = tokio::spawn(process(server.clone(), "two"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!writers(server).contains(&"two".to_owned()), "who stands by wrote");
    server.cut_off("one");
    let lost = first.await.unwrap();
    println!("{lost}");
    assert!(!writers(server).contains(&"two".to_owned()), "the second began before the first had ended");
    wait_for_writes(server, "two", 3).await;
    let writers = writers(server);
    let handover = writers.iter().position(|writer| writer == "two").unwrap();
    assert!(writers[handover..].iter().all(|writer| writer == "two"), "{writers:?}");
    assert_eq!(server.get(LEASE).unwrap()["spec"]["holderIdentity"], "two");
    second.abort();
    gnawing.abort();
}
