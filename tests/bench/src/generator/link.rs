//! One connection of the load generator: a socket, what is half read and what is half written. Nothing is allocated while it is idle.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use mio::{Interest, Registry, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections from one source address: far below the ports it has.
const PER_ADDRESS: usize = 200;
/// Receive buffer of a connection that is to read slowly, bytes: small, so that the server notices at once.
const SLOW_BUFFER: usize = 4 * 1024;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not begun, or ended.
    #[default]
    Closed,
    /// TCP is under way, or the answer to the upgrade request.
    Upgrading,
    /// The greeting was sent.
    Greeting,
    /// Signed in, in all its rooms.
    Ready,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// How far it has come.
    pub(crate) state: State,
    /// Not to be read for now.
    pub(crate) deaf: bool,
    /// When to try again.
    pub(crate) retry: Option<Duration>,
    /// When the attempt that is under way has taken too long.
    pub(crate) patience: Duration,
    stream: Option<TcpStream>,
    /// The beginning of a frame whose end has not come.
    pub(crate) inbox: Vec<u8>,
    outbox: Vec<u8>,
}

impl Link {
    /// Begins to connect, from an address of its own group.
    ///
    /// # Errors
    /// The system refuses a socket, or the server is not there.
    pub(crate) fn open(
        &mut self,
        number: usize,
        server: SocketAddr,
        slow: bool,
        registry: &Registry,
    ) -> io::Result<()> {
        self.close();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if slow {
            socket.set_recv_buffer_size(SLOW_BUFFER)?;
        }
        socket.bind(&SocketAddr::V4(SocketAddrV4::new(source(number), 0)).into())?;
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.state = State::Upgrading;
        Ok(())
    }

    /// Drops the socket.
    pub(crate) fn close(&mut self) {
        self.stream = None;
        self.state = State::Closed;
        self.inbox = Vec::new();
        self.outbox = Vec::new();
    }

    /// Queues bytes and writes what the system takes.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.outbox.extend(bytes);
        self.flush()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while !self.outbox.is_empty() {
            match stream.write(&self.outbox) {
                Ok(written) => drop(self.outbox.drain(..written)),
                // Before TCP is through, a write says "not connected"; the event that it is will come.
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Idle connections hold no memory.
        self.outbox = Vec::new();
        Ok(())
    }

    /// Reads once. `Ok(None)`: nothing more for now; `Ok(Some(0))`: closed by the server.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        match stream.read(buffer) {
            Ok(read) => Ok(Some(read)),
            Err(error) if is_not_yet(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted)
}

/// 127.1.0.1 and on: no address runs out of ports, however often connections come and go.
fn source(number: usize) -> Ipv4Addr {
    let group = u32::try_from(number / PER_ADDRESS).unwrap_or(0);
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + group)
}
