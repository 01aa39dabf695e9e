//! The HTTP upgrade over a real socket.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    routing::get,
};
use chat_gateway::{
    http::{self, ClientAddress, Places},
    transport::{self, Door},
};
use chat_gateway_config::Timeouts;
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{Response, StatusCode},
    },
};
use tokio_util::sync::CancellationToken;

use crate::world::World;

async fn serve(world: &World) -> SocketAddr {
    serve_door(world, Door::Chat).await
}

async fn serve_door(world: &World, door: Door) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (services, hub) = (Arc::clone(&world.gateways[0].services), Arc::clone(&world.gateways[0].hub));
    let upgrade = get(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        let (services, hub) = (Arc::clone(&services), Arc::clone(&hub));
        async move { transport::upgrade(services, hub, (peer, ClientAddress(peer.ip())), door, request) }
    });
    let app = Router::new().route("/v1/ws", upgrade);
    let (times, places) = (Timeouts::default(), Places::new(usize::MAX));
    tokio::spawn(http::serve(listener, app, times, places, CancellationToken::new()));
    address
}

fn status(error: Error) -> Response<Option<Vec<u8>>> {
    match error {
        Error::Http(response) => *response,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn echoes_the_sub_protocol_and_refuses_when_full_or_draining() {
    let world = World::new(1);
    let address = serve(&world).await;
    let url = format!("ws://{address}/v1/ws");
    let mut request = url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "other, chat.v1".parse().unwrap());
    let (first, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    let (_second, response) = connect_async(&url).await.unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
    let full = status(connect_async(&url).await.unwrap_err());
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    let after: u32 = full.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&after));
    drop(first);
    let counters = &world.gateways[0].services.counters;
    while counters.connections.load(Ordering::Relaxed) > 1 {
        tokio::task::yield_now().await;
    }
    world.gateways[0].services.entrance.drain();
    let draining = status(connect_async(&url).await.unwrap_err());
    assert_eq!(draining.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn who_offers_the_binary_encoding_gets_it() {
    let world = World::new(1);
    let url = format!("ws://{}/v1/ws", serve(&world).await);
    for offered in ["chat.v1.cbor", "chat.v1, chat.v1.cbor", "chat.v1.cbor,chat.v1"] {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        let (mut socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1.cbor");
        // A map with one field, `type`: "ping". It is not hello, and the refusal comes as a binary frame.
        let ping = [&[0xa1, 0x64][..], b"type", &[0x64], b"ping"].concat();
        socket.send(Message::binary(ping)).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)) | Ok(Message::Binary(_)))));
        drop(socket);
        let counters = &world.gateways[0].services.counters;
        while counters.connections.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn the_other_door_speaks_protobuf_to_who_offers_it_and_json_to_everyone_else() {
    let world = World::new(1);
    let address = serve_door(&world, Door::Centrifuge).await;
    let url = format!("ws://{address}/v1/ws");
    let chosen =
        [("centrifuge-json, centrifuge-protobuf", "centrifuge-protobuf"), ("centrifuge-json", "centrifuge-json")];
    for (offered, chosen) in chosen {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        let (mut socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], chosen);
        // An invalid token is answered in the close frame's words of this door, after a frame of the right kind.
        let connect = match chosen {
            "centrifuge-json" => Message::text(r#"{"id":1,"connect":{"token":"a:b"}}"#),
            _ => Message::binary(vec![9, 8, 1, 0x22, 5, 0x0a, 3, b'a', b':', b'b']),
        };
        socket.send(connect).await.unwrap();
        let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("{chosen}: no close") };
        assert_eq!(u16::from(frame.code), 3500);
        while socket.next().await.is_some() {}
        let counters = &world.gateways[0].services.counters;
        while counters.connections.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
    let (_socket, response) = connect_async(&url).await.unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
}

#[tokio::test]
async fn a_plain_request_gets_426() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new(1);
    let address = serve(&world).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/ws HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
    assert!(answer.contains("bad_request"), "{answer}");
}
