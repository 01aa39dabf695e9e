//! A name server that knows one name: that of the gateways' headless Service.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::net::UdpSocket;

/// Addresses behind the name, as they are now.
pub(crate) type Addresses = Arc<Mutex<Vec<Ipv4Addr>>>;

/// Answers until the test ends; returns where.
pub(crate) async fn serve(at: Ipv4Addr, addresses: Addresses) -> SocketAddr {
    let socket = UdpSocket::bind((at, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut query).await {
            let reply = reply(&query[..length], &addresses.lock().unwrap().clone());
            let _ = socket.send_to(&reply, peer).await;
        }
    });
    address
}

/// The answer to a query with one question, whatever the name: all addresses to a question of type A, and none to another.
fn reply(query: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    // The name ends with an empty label; type and class follow.
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap() + 13;
    let question = &query[12..name + 4];
    let is_a = query[name..name + 2] == [0, 1];
    let answers = if is_a { addresses } else { &[] };
    let mut reply = query[..2].to_vec();
    // An authoritative answer without an error: one question, the answers, nothing else.
    reply.extend([0x85, 0x80, 0, 1]);
    reply.extend(u16::try_from(answers.len()).unwrap().to_be_bytes());
    reply.extend([0; 4]);
    reply.extend(question);
    for address in answers {
        // The name of the question, A, IN, five seconds, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}
