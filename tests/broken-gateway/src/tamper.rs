//! Stands between clients and the real gateway, and breaks what that promises them: acknowledgements, and the messages that come.
//!
//! Frames in JSON are tampered with, whoever's they are; everything else goes through as it is.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
};

use crate::Fault;

/// Bytes of the longest head of a request or answer.
const HEAD: usize = 32 * 1024;

/// Bytes of the longest frame.
const FRAME: u64 = 4 * 1024 * 1024;

/// Takes connections at `front` in the place of the gateway at `gateway`, until the program ends; returns where it listens.
///
/// # Errors
/// The port cannot be opened.
pub async fn stand_before(gateway: SocketAddr, front: SocketAddr, fault: Fault) -> Result<SocketAddr> {
    let listener = TcpListener::bind(front).await.with_context(|| format!("failed to listen on {front}"))?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Whoever goes ends it; there is nobody to tell.
                drop(carry(client, gateway, fault).await);
            });
        }
    });
    Ok(address)
}

async fn carry(client: TcpStream, gateway: SocketAddr, fault: Fault) -> Result<()> {
    let gateway = TcpStream::connect(gateway).await?;
    client.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    let ((from_client, to_client), (from_gateway, mut to_gateway)) = (client.into_split(), gateway.into_split());
    let (mut from_client, mut from_gateway) = (BufReader::new(from_client), BufReader::new(from_gateway));
    let to_client = Arc::new(Mutex::new(to_client));
    let asked = head(&mut from_client).await?;
    to_gateway.write_all(&asked).await?;
    let is_upgrade = String::from_utf8_lossy(&asked).to_ascii_lowercase().contains("upgrade: websocket");
    let back = Arc::clone(&to_client);
    let downwards = async move {
        if is_upgrade {
            let answered = head(&mut from_gateway).await?;
            back.lock().await.write_all(&answered).await?;
            if answered.starts_with(b"HTTP/1.1 101") {
                return deliver(from_gateway, &back, fault).await;
            }
        }
        let mut back = back.lock().await;
        tokio::io::copy(&mut from_gateway, &mut *back).await?;
        Ok(())
    };
    let upwards = async move {
        if is_upgrade && fault == Fault::Lose {
            return lose(from_client, to_gateway, &to_client).await;
        }
        tokio::io::copy(&mut from_client, &mut to_gateway).await?;
        Ok(())
    };
    tokio::select! {
        ended = downwards => ended,
        ended = upwards => ended,
    }
}

/// Everything up to the empty line, with it.
async fn head(from: &mut BufReader<OwnedReadHalf>) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
        if head.len() > HEAD {
            bail!("a head of over {HEAD} bytes");
        }
    }
    Ok(head)
}

/// A frame: its bytes as they came, and what it says if that is JSON.
struct Frame {
    bytes: Vec<u8>,
    says: Value,
}

async fn frame(from: &mut BufReader<OwnedReadHalf>) -> Result<Frame> {
    let mut bytes = vec![from.read_u8().await?, from.read_u8().await?];
    let (kind, short, masked) = (bytes[0] & 0x0f, bytes[1] & 0x7f, bytes[1] & 0x80 != 0);
    let more = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut long = [0; 8];
    from.read_exact(&mut long[8 - more..]).await?;
    bytes.extend_from_slice(&long[8 - more..]);
    let length = if more == 0 { u64::from(short) } else { u64::from_be_bytes(long) };
    if length > FRAME {
        bail!("a frame of {length} bytes");
    }
    let mut mask = [0; 4];
    if masked {
        from.read_exact(&mut mask).await?;
        bytes.extend_from_slice(&mask);
    }
    let mut body = vec![0; usize::try_from(length)?];
    from.read_exact(&mut body).await?;
    bytes.extend_from_slice(&body);
    body.iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    let says = if kind == 1 { serde_json::from_slice(&body).unwrap_or_default() } else { Value::Null };
    Ok(Frame { bytes, says })
}

/// A text frame of a server.
fn text(says: &Value) -> Vec<u8> {
    let body = says.to_string().into_bytes();
    let mut bytes = vec![0x81, 126];
    bytes.extend_from_slice(&u16::try_from(body.len()).unwrap_or_default().to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Brings a client what the gateway sends, messages as the fault wants it.
async fn deliver(mut from: BufReader<OwnedReadHalf>, to: &Mutex<OwnedWriteHalf>, fault: Fault) -> Result<()> {
    let mut held: Option<Vec<u8>> = None;
    loop {
        let Frame { bytes, says } = frame(&mut from).await?;
        let is_message = says["type"] == "message";
        let out = match fault {
            Fault::Mute if is_message => Vec::new(),
            Fault::Twice if is_message => bytes.repeat(2),
            Fault::Reorder if is_message => match held.take() {
                Some(earlier) => [bytes, earlier].concat(),
                None => {
                    held = Some(bytes);
                    Vec::new()
                }
            },
            _ => bytes,
        };
        to.lock().await.write_all(&out).await?;
    }
}

/// Acknowledges what a client sends, and keeps it from the gateway.
async fn lose(mut from: BufReader<OwnedReadHalf>, mut to: OwnedWriteHalf, back: &Mutex<OwnedWriteHalf>) -> Result<()> {
    // Beyond what a room of a test has.
    let mut seq = 1_000_000;
    loop {
        let Frame { bytes, says } = frame(&mut from).await?;
        if says["type"] != "send" {
            to.write_all(&bytes).await?;
            continue;
        }
        seq += 1;
        let answer = json!({
            "re": says["id"], "type": "sent", "room": says["room"], "message_id": says["message_id"], "seq": seq,
            "at": "2026-01-01T00:00:00.000Z", "duplicate": false,
        });
        back.lock().await.write_all(&text(&answer)).await?;
    }
}
