//! A connection that can be torn down at once.
//!
//! The library closes a connection in order: behind everything that still waits to be written. On a connection that hardly moves, that keeps
//! megabytes for as long as the server takes them, while the next session fills a queue of its own.

use std::{
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError},
};

use lapin::{
    Connection, ConnectionProperties, Result,
    runtime::default_runtime,
    tcp::{AMQPUriTcpExt as _, AsyncTcpStream},
    types::FrameSize,
    uri::{AMQPScheme, AMQPUri},
};

use super::certificates::Certificates;

/// Largest frame, bytes, where the URI says nothing. The library keeps room for 32 of them each way, for every connection; the server would agree to 128 KiB.
const FRAME: FrameSize = 32 * 1024;

/// See the module's documentation. Dropped, it is closed in order.
pub(super) struct Wire {
    connection: Connection,
    /// A second handle on the socket below.
    socket: Arc<Mutex<Option<TcpStream>>>,
}

impl Wire {
    /// Connects; `name` is what the server shows, `certificates` what TLS believes and shows.
    pub(super) async fn open(mut uri: AMQPUri, name: String, certificates: Certificates) -> Result<Self> {
        uri.query.frame_max.get_or_insert(FRAME);
        let socket = Arc::<Mutex<Option<TcpStream>>>::default();
        let handle = Arc::clone(&socket);
        let runtime = default_runtime()?;
        let reactor = runtime.clone();
        let connect = async move |uri: AMQPUri, _| {
            let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
            let stream = plain.connect_async(&reactor).await?;
            if let AsyncTcpStream::Plain(stream) = &stream {
                let second = stream.get_ref().as_fd().try_clone_to_owned()?;
                *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(second.into());
            }
            match uri.scheme {
                AMQPScheme::AMQP => Ok(stream),
                AMQPScheme::AMQPS => Ok(stream.into_tls(&uri.authority.host, certificates.tls()).await?),
            }
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connector(uri, runtime, connect, properties).await?;
        Ok(Self { connection, socket })
    }

    /// The connection.
    pub(super) fn amqp(&self) -> &Connection {
        &self.connection
    }

    /// Cuts it off: what waits to be written is given up, and publishes without confirmation fail.
    pub(super) fn tear(&self) {
        if let Some(socket) = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It fails when the other end was faster.
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}
