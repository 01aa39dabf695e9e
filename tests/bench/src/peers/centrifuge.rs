//! The real-time library of Centrifugo, in Go, with its JSON protocol: `tests/bench/peers/centrifuge`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Peer, Process, Word, number_after, programs, shown, token};
use crate::{generator::body, layout::Layout};

/// Number of the last subscription of a greeting: its answer says that the client is in.
const LAST: u64 = 99;
/// Numbers of publications begin here.
const FIRST_PUBLICATION: usize = 1_000;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Centrifuge {
    program: PathBuf,
}

impl Peer for Centrifuge {
    fn name(&self) -> &'static str {
        "centrifuge"
    }

    fn version(&self) -> String {
        let text = std::fs::read_to_string(programs::sources("centrifuge").join("go.mod")).unwrap_or_default();
        let line = text.lines().find(|line| line.contains("centrifugal/centrifuge "));
        line.and_then(|line| line.split_whitespace().last()).unwrap_or("unknown").to_owned()
    }

    fn build(&mut self) -> Result<()> {
        let folder = programs::built("centrifuge", &["main.go", "go.mod", "go.sum"], |from, to| {
            let mut go = Command::new("go");
            go.current_dir(from).args(["build", "-trimpath", "-mod=readonly", "-o"]).arg(to.join("server")).arg(".");
            programs::run(
                &mut go,
                "the peer centrifuge needs Go 1.26 or newer: https://go.dev/dl, or leave it out with --peers",
            )
        })?;
        self.program = folder.join("server");
        Ok(())
    }

    fn start(&self, _: &Layout, folder: &Path, address: SocketAddr) -> Result<Process> {
        let address_text = address.to_string();
        let arguments = ["-address", &address_text, "-key", token::KEY];
        let mut process = Process::start(&self.program, &arguments, &folder.join("centrifuge.log"))
            .with_context(|| format!("failed to start {}", self.program.display()))?;
        process.wait_for(address)?;
        Ok(process)
    }

    fn keeps_messages(&self) -> bool {
        false
    }

    fn path(&self) -> &'static str {
        "/connection/websocket"
    }

    fn greeting(&self, user: usize, layout: &Layout, _: &[(u32, u64)]) -> String {
        let mut text = format!("{{\"id\":1,\"connect\":{{\"token\":\"{}\"}}}}", token::sign(&format!("u{user}")));
        let rooms = layout.rooms_of(user);
        for (nth, room) in rooms.iter().enumerate() {
            let number = if nth + 1 == rooms.len() { LAST } else { nth as u64 + 2 };
            text += &format!("\n{{\"id\":{number},\"subscribe\":{{\"channel\":\"r{room}\"}}}}");
        }
        text
    }

    fn publication(&self, _: usize, room: u32, number: usize, body: &str) -> String {
        let number = number + FIRST_PUBLICATION;
        format!("{{\"id\":{number},\"publish\":{{\"channel\":\"r{room}\",\"data\":\"{body}\"}}}}")
    }

    fn understand(&self, frame: &[u8], tell: &mut dyn FnMut(Word<'_>)) {
        for line in frame.split(|byte| *byte == b'\n') {
            if line.starts_with(b"{\"push\"") {
                if let Some(body) = body::find(line) {
                    tell(Word::Delivery { body, seq: 0 });
                }
            } else if line == b"{}" {
                tell(Word::Reply("{}"));
            } else if let Some(number) = number_after(&line[..line.len().min(40)], b"\"id\":") {
                answer(line, number, tell);
            }
        }
    }
}

fn answer(line: &[u8], number: u64, tell: &mut dyn FnMut(Word<'_>)) {
    let failed = memchr::memmem::find(line, b"\"error\"").is_some();
    let publication = usize::try_from(number).ok().and_then(|number| number.checked_sub(FIRST_PUBLICATION));
    match publication {
        Some(_) if failed => tell(Word::Refused(&shown(line))),
        Some(number) => tell(Word::Accepted(number)),
        None if failed => tell(Word::Failed(&shown(line))),
        None if number == LAST => tell(Word::Ready),
        None => {}
    }
}
