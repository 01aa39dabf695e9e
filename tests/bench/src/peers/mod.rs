//! The servers that are measured, each behind the same trait.

mod centrifuge;
mod chat_gateway;
mod process;
mod programs;
mod socket_io;
mod token;

use std::{net::SocketAddr, path::Path};

use anyhow::{Result, bail};

pub(crate) use self::{
    centrifuge::Centrifuge,
    chat_gateway::{ChatGateway, Database},
    process::{Process, free_address},
    socket_io::SocketIo,
};
use crate::{generator::body::Body, layout::Layout};

/// Something that a server says to a client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word<'a> {
    /// The client is signed in and in its rooms.
    Ready,
    /// A message; `seq` is its place in the room where the server numbers messages, or else 0.
    Delivery {
        /// Which one.
        body: Body,
        /// Its place.
        seq: u64,
    },
    /// The message with this number was taken.
    Accepted(usize),
    /// A message was refused.
    Refused(&'a str),
    /// To be answered with this text: a ping of the server's own.
    Reply(&'static str),
    /// The client is not let in.
    Failed(&'a str),
}

/// A server under test, and how its clients speak.
pub(crate) trait Peer {
    /// What tables call it.
    fn name(&self) -> &'static str;

    /// Its version, for the report.
    fn version(&self) -> String;

    /// Builds what has to be built; not part of any measurement.
    ///
    /// # Errors
    /// A tool is missing, or the build fails.
    fn build(&mut self) -> Result<()>;

    /// Makes accounts and rooms in `folder`, and starts the server. Starts it again after it was killed when called once more.
    ///
    /// # Errors
    /// It does not come up.
    fn start(&self, layout: &Layout, folder: &Path, address: SocketAddr) -> Result<Process>;

    /// Whether messages survive the server.
    fn keeps_messages(&self) -> bool;

    /// Path of the upgrade request.
    fn path(&self) -> &'static str;

    /// Sub-protocol to ask for.
    fn sub_protocol(&self) -> Option<&'static str> {
        None
    }

    /// The first text of a client: who it is, which rooms it wants, and what it has of them already (room and seq) if it was here before.
    fn greeting(&self, user: usize, layout: &Layout, resume: &[(u32, u64)]) -> String;

    /// A text that sends a message; `number` comes back in [`Word::Accepted`].
    fn publication(&self, user: usize, room: u32, number: usize, body: &str) -> String;

    /// Tells what a text frame says.
    fn understand(&self, frame: &[u8], tell: &mut dyn FnMut(Word<'_>));
}

/// The number behind `key` near the beginning of a frame.
fn number_after(frame: &[u8], key: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(frame, key)? + key.len();
    let digits = frame[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.map(|byte| u64::from(byte - b'0')).try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
}

/// A frame in an error message.
fn shown(frame: &[u8]) -> String {
    String::from_utf8_lossy(&frame[..frame.len().min(200)]).into_owned()
}

/// All peers, ours first, by the names that `--peers` takes.
///
/// # Errors
/// An unknown name.
pub(crate) fn all(names: &[String], gateway: &Path) -> Result<Vec<Box<dyn Peer>>> {
    names
        .iter()
        .map(|name| match name.as_str() {
            "chat-gateway" => Ok(Box::new(ChatGateway::new(gateway, Database::Embedded)) as Box<dyn Peer>),
            "centrifuge" => Ok(Box::new(Centrifuge::default()) as Box<dyn Peer>),
            "socket.io" => Ok(Box::new(SocketIo::default()) as Box<dyn Peer>),
            other => bail!("--peers: no peer {other}; there are chat-gateway, centrifuge and socket.io"),
        })
        .collect()
}
