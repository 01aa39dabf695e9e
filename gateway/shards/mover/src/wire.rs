//! The way to a server. The driver sets nothing on its sockets, and a move needs two things of them:
//!
//! - no delay of small packets: the end of each COPY would wait 40 ms until the server has acknowledged the packet before it;
//! - an end to waiting for a network that was cut: without it a mover would wait for an answer for hours. A server that is only slow, or
//!   stopped, is waited for: its kernel answers. Only one that takes nothing for so long that no more can be sent counts as cut off.
//!
//! The server needs that end, too: in the middle of a COPY it would wait for the rest for two hours, with the slot's row held, and every other
//! mover with it. So each session asks it to probe.
//!
//! So the driver is given a Unix socket in memory, and what it writes there goes to the server as it is, TLS included. The socket has a name of
//! Linux's abstract kind, in no file system; one connection is taken, of this very process.

use std::{
    io,
    os::linux::net::SocketAddrExt as _,
    os::unix::net::{SocketAddr, UnixListener as Listener},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpStream, UnixListener, UnixStream},
    time::timeout,
};
use uuid::Uuid;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the network may keep silent: what was sent is not acknowledged, or a probe is not answered.
const SILENCE: Duration = Duration::from_secs(10);
/// Between two probes of a connection on which nothing is said.
const PROBES: Duration = Duration::from_secs(3);
/// The same probes by the server. Nothing is asked of it for what is not acknowledged: it counts a mover that is throttled, and takes nothing more
/// for a while, as gone.
const ITS_PROBES: [(&str, &str); 3] =
    [("tcp_keepalives_idle", "3"), ("tcp_keepalives_interval", "3"), ("tcp_keepalives_count", "3")];
/// Bytes under way in each direction.
const BUFFER: usize = 256 << 10;

/// Options that lead to the same server, or these themselves when they name a Unix socket.
///
/// # Errors
/// The server's address cannot be connected to, or the system gives no socket.
pub(crate) async fn to(options: PgConnectOptions) -> io::Result<PgConnectOptions> {
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return Ok(options);
    }
    let connecting = TcpStream::connect((options.get_host().trim_matches(['[', ']']), options.get_port()));
    let server = timeout(CONNECT, connecting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    server.set_nodelay(true)?;
    let socket = SockRef::from(&server);
    let probes = TcpKeepalive::new().with_time(PROBES).with_interval(PROBES).with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    // The driver makes the name of it that a server's socket in a folder has.
    let folder = format!("chat-shard-mover-{}", Uuid::now_v7());
    let name = SocketAddr::from_abstract_name(format!("{folder}/.s.PGSQL.{}", options.get_port()))?;
    let listener = Listener::bind_addr(&name)?;
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    tokio::spawn(async move {
        // Nobody hears an error of it: the driver finds its connection closed.
        if let Ok(Ok(driver)) = timeout(CONNECT, own(listener)).await {
            drop(relay(driver, server).await);
        }
    });
    Ok(options.options(ITS_PROBES).socket(format!("\0{folder}")))
}

/// The connection of this process; others are turned away.
async fn own(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        let peer = stream.peer_cred()?.pid();
        if peer.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id()) {
            return Ok(stream);
        }
    }
}

/// Ends when either side does.
async fn relay(mut driver: UnixStream, mut server: TcpStream) -> io::Result<()> {
    copy_bidirectional_with_sizes(&mut driver, &mut server, BUFFER, BUFFER).await?;
    Ok(())
}
