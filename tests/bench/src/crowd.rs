//! Many connections of few people: accounts cost a password hash each, connections should not.

use std::time::Duration;

use anyhow::{Result, bail};
use chat_test_client::{
    Account, Addresses, accounts,
    socket::Socket,
    wire::{Body, Welcome},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use uuid::Uuid;

/// People behind all connections.
const PEOPLE: usize = 20;
/// Handshakes under way at any time.
const AT_ONCE: usize = 50;

/// Signs up the people.
pub(crate) async fn people(gateway: &str) -> Result<Vec<Account>> {
    let addresses = Addresses::new(vec![gateway.to_owned()]);
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        let name = format!("bench-{}", &Uuid::new_v4().simple().to_string()[..12]);
        people.push(accounts::enter(&addresses, &name, "correct horse battery", Duration::from_secs(30)).await?);
    }
    Ok(people)
}

/// Opens `count` connections, the people taking turns, and waits for each welcome.
pub(crate) async fn connect(gateway: &str, people: &[Account], count: usize) -> Result<Vec<Socket>> {
    let opening = (0..count).map(|number| {
        let token = people[number % people.len()].token.clone();
        async move { Ok::<_, anyhow::Error>(open(gateway, &token).await?.0) }
    });
    stream::iter(opening).buffer_unordered(AT_ONCE).try_collect().await
}

/// One connection and its welcome.
pub(crate) async fn open(gateway: &str, token: &str) -> Result<(Socket, Box<Welcome>)> {
    let mut socket = Socket::connect(gateway).await?;
    socket.send(&json!({ "type": "hello", "id": 0, "token": token })).await?;
    loop {
        match socket.recv().await?.body {
            Body::Welcome(welcome) => return Ok((socket, welcome)),
            Body::Error(refusal) => bail!("hello was refused: {refusal:?}"),
            _ => {}
        }
    }
}
