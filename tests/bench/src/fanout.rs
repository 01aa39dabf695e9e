//! Deliveries in one big room.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use chat_test_client::{socket::Socket, wire::Body};
use serde_json::json;
use uuid::Uuid;

use crate::{crowd, memory};

/// Sends to a room that `audience` connections follow, and prints deliveries a second and their cost.
pub(crate) async fn measure(gateway: &str, pid: u32, audience: usize, messages: usize) -> Result<()> {
    let people = crowd::people(gateway).await?;
    let mut sockets = crowd::connect(gateway, &people[1..], audience).await?;
    let (mut speaker, _) = crowd::open(gateway, &people[0].token).await?;
    let members: Vec<_> = people[1..].iter().map(|person| person.user.id).collect();
    let create = json!({ "type": "create_room", "id": 1, "kind": "group", "title": "bench", "members": members });
    speaker.send(&create).await?;
    let room = loop {
        match speaker.recv().await?.body {
            Body::Room { room, .. } => break room.id,
            Body::Error(refusal) => bail!("no room: {refusal:?}"),
            _ => {}
        }
    };
    // Who is told of the room only after a message would have to read that one up.
    for socket in &mut sockets {
        while !matches!(socket.recv().await?.body, Body::RoomAdded { room: added } if added.id == room) {}
    }
    let listeners: Vec<_> = sockets.into_iter().map(|socket| tokio::spawn(listen(socket, messages))).collect();
    let (started, used) = (Instant::now(), memory::processor_seconds(pid)?);
    let speaking = tokio::spawn(speak(speaker, room, messages));
    for listener in listeners {
        listener.await??;
    }
    speaking.await??;
    let (took, used) = (started.elapsed().as_secs_f64(), memory::processor_seconds(pid)? - used);
    let deliveries = (audience * messages) as f64;
    println!(
        "fan-out: {messages} messages to {audience} connections in {took:.1} s: {:.0} deliveries/s, {:.1} us of gateway CPU each",
        deliveries / took,
        used / deliveries * 1e6,
    );
    Ok(())
}

/// Receives until all messages are there, in order.
async fn listen(mut socket: Socket, messages: usize) -> Result<()> {
    let mut next = 1;
    while next <= messages as u64 {
        if let Body::Message { message } = socket.recv().await?.body {
            ensure!(message.seq == next, "seq {} instead of {next}", message.seq);
            next += 1;
        }
    }
    Ok(())
}

/// Sends one message after the other, each when the one before is acknowledged, at the rate that the gateway allows.
async fn speak(mut socket: Socket, room: Uuid, messages: usize) -> Result<()> {
    for number in 0..messages {
        let send =
            json!({ "type": "send", "id": 1, "room": room, "message_id": Uuid::now_v7(), "body": "x".repeat(200) });
        loop {
            socket.send(&send).await?;
            let wait = loop {
                match socket.recv().await?.body {
                    Body::Sent(_) => break None,
                    Body::Error(refusal) => {
                        break Some(refusal.retry_after_ms.with_context(|| format!("message {number}: {refusal:?}"))?);
                    }
                    _ => {}
                }
            };
            match wait {
                None => break,
                Some(milliseconds) => tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await,
            }
        }
    }
    Ok(())
}
