//! Gateways as a balancer sees them: WebSockets, `/readyz` and the agent's port, on the ports that the operator gives them.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use chat_gateway_config::agent::Capacity;
use chat_operator::names::port;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::apart::{self, Apart};

/// The answer to the handshake of RFC 6455's example, which all clients here send.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What a gateway is and has seen.
pub(crate) struct State {
    pub(crate) number: usize,
    pub(crate) limit: u32,
    pub(crate) connections: AtomicU64,
    /// Cordoned: it says so to whoever asks, and keeps who is there.
    pub(crate) closed: AtomicBool,
    /// Handshakes that it refused, because it was full.
    pub(crate) refused: AtomicU64,
    /// `X-Forwarded-For` and `Forwarded` of the last handshake.
    pub(crate) told: Mutex<Vec<String>>,
}

/// A gateway; it ends with all its connections when it is dropped.
pub(crate) struct Gateway {
    pub(crate) state: Arc<State>,
    stop: CancellationToken,
}

impl Gateway {
    pub(crate) fn start(at: Ipv4Addr, number: usize, limit: u32) -> Self {
        let state = Arc::new(State {
            number,
            limit,
            connections: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            told: Mutex::default(),
        });
        let stop = CancellationToken::new();
        for number in [port::GATEWAY_HTTP, port::GATEWAY_ADMIN, port::GATEWAY_AGENT] {
            let (state, stop) = (Arc::clone(&state), stop.clone());
            let listener = listen(at, number);
            tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let state = Arc::clone(&state);
                    let serving = async move {
                        let _ = match number {
                            port::GATEWAY_HTTP => clients(stream, &state).await,
                            port::GATEWAY_ADMIN => admin(stream, &state).await,
                            _ => agent(stream, &state).await,
                        };
                    };
                    tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
                }
            }));
        }
        Self { state, stop }
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(SeqCst)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn listen(at: Ipv4Addr, number: i32) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((at, u16::try_from(number).unwrap()).into()).unwrap();
    socket.listen(4_096).unwrap()
}

/// The head of a request or of an answer.
pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Takes a WebSocket, unless it is full, and sends back what comes; answers any other request.
async fn clients(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let head = head(&mut stream).await?;
    let told = head.lines().filter(|line| line.to_lowercase().contains("forwarded")).map(str::to_lowercase).collect();
    *state.told.lock().unwrap() = told;
    if !head.to_lowercase().contains("upgrade: websocket") {
        return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    }
    if state.connections.fetch_add(1, SeqCst) >= u64::from(state.limit) {
        state.connections.fetch_sub(1, SeqCst);
        state.refused.fetch_add(1, SeqCst);
        return stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    }
    let _seat = Seat(state);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\nX-Gateway: {}\r\n\r\n",
        state.number
    );
    stream.write_all(answer.as_bytes()).await?;
    let mut bytes = [0; 64];
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Ok(()),
            length => stream.write_all(&bytes[..length]).await?,
        }
    }
}

/// Counts somebody who is connected, until the connection ends in whatever way.
struct Seat<'a>(&'a State);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, SeqCst);
    }
}

async fn admin(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let head = head(&mut stream).await?;
    assert!(head.starts_with("GET /readyz HTTP/1.1\r\n"), "{head}");
    let status = if state.closed.load(SeqCst) { "503 Service Unavailable" } else { "200 OK" };
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await
}

async fn agent(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut question = [0; 32];
    let length = stream.read(&mut question).await?;
    let capacity = Capacity {
        connections: state.connections.load(SeqCst),
        limit: state.limit,
        age: Some(Duration::from_secs(3_600)),
        closed: state.closed.load(SeqCst),
    };
    stream.write_all(capacity.answer(&String::from_utf8_lossy(&question[..length])).as_bytes()).await
}

/// A gateway in a process of its own.
pub(crate) struct Remote(Apart);

impl Remote {
    pub(crate) fn start(at: Ipv4Addr, number: usize, limit: u32) -> Self {
        Self(Apart::start("gateway::gateway_apart", &format!("{at} {number} {limit}")))
    }

    pub(crate) fn connections(&mut self) -> u64 {
        self.0.ask("count")[0]
    }

    /// Handshakes that it refused, because it was full.
    pub(crate) fn refused(&mut self) -> u64 {
        self.0.ask("count")[1]
    }

    /// Cordons it, or takes that back.
    pub(crate) fn close(&mut self, on: bool) {
        self.0.ask(if on { "close" } else { "open" });
    }
}

#[tokio::test]
#[ignore = "other tests start it as a process"]
async fn gateway_apart() {
    let task = apart::task();
    let [at, number, limit] = task.split(' ').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let gateway = Gateway::start(at.parse().unwrap(), number.parse().unwrap(), limit.parse().unwrap());
    apart::obey(async |words| {
        match words {
            ["close"] => gateway.state.closed.store(true, SeqCst),
            ["open"] => gateway.state.closed.store(false, SeqCst),
            _ => {}
        }
        vec![gateway.connections(), gateway.state.refused.load(SeqCst)]
    })
    .await;
}
