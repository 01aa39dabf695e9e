//! Socket.IO on Node.js, over WebSocket alone: `tests/bench/peers/socketio`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::json;

use super::{Peer, Process, Word, number_after, programs, shown, token};
use crate::{generator::body, layout::Layout};

const FILES: &[&str] = &["server.js", "package.json", "package-lock.json"];
const MISSING: &str = "the peer socket.io needs Node.js 20 or newer with npm (on Debian: apt-get install nodejs npm), or leave it out with --peers";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct SocketIo {
    folder: PathBuf,
    node: PathBuf,
}

impl Peer for SocketIo {
    fn name(&self) -> &'static str {
        "socket.io"
    }

    fn version(&self) -> String {
        let text = std::fs::read(programs::sources("socketio").join("package.json")).unwrap_or_default();
        let package: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        package["dependencies"]["socket.io"].as_str().unwrap_or("unknown").to_owned()
    }

    fn build(&mut self) -> Result<()> {
        self.folder = programs::built("socketio", FILES, |from, to| {
            for name in FILES {
                std::fs::copy(from.join(name), to.join(name))?;
            }
            // Scripts of packages are not needed: bufferutil brings its library ready made.
            let mut npm = Command::new("npm");
            npm.current_dir(to).args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
            programs::run(&mut npm, MISSING)
        })?;
        self.node = "node".into();
        Ok(())
    }

    fn start(&self, _: &Layout, folder: &Path, address: SocketAddr) -> Result<Process> {
        let script = self.folder.join("server.js").display().to_string();
        let address_text = address.to_string();
        let mut process =
            Process::start(&self.node, &[&script, &address_text, token::KEY], &folder.join("socket.io.log"))?;
        process.wait_for(address)?;
        Ok(process)
    }

    fn keeps_messages(&self) -> bool {
        false
    }

    fn path(&self) -> &'static str {
        "/socket.io/?EIO=4&transport=websocket"
    }

    fn greeting(&self, user: usize, layout: &Layout, _: &[(u32, u64)]) -> String {
        let rooms: Vec<String> = layout.rooms_of(user).iter().map(|room| format!("r{room}")).collect();
        format!("40{}", json!({ "token": token::sign(&format!("u{user}")), "rooms": rooms }))
    }

    fn publication(&self, _: usize, room: u32, number: usize, body: &str) -> String {
        format!("42{number}[\"send\",\"r{room}\",\"{body}\"]")
    }

    fn understand(&self, frame: &[u8], tell: &mut dyn FnMut(Word<'_>)) {
        match frame {
            [b'4', b'2', ..] => {
                if let Some(body) = body::find(frame) {
                    tell(Word::Delivery { body, seq: 0 });
                }
            }
            [b'4', b'3', ..] => match number_after(frame, b"43").and_then(|number| usize::try_from(number).ok()) {
                Some(number) if frame.ends_with(b"[\"ok\"]") => tell(Word::Accepted(number)),
                _ => tell(Word::Refused(&shown(frame))),
            },
            b"2" => tell(Word::Reply("3")),
            [b'4', b'0', ..] => tell(Word::Ready),
            [b'4', b'4', ..] | [b'1', ..] => tell(Word::Failed(&shown(frame))),
            _ => {}
        }
    }
}
