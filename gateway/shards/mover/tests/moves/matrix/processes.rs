//! Movers and writers as processes of their own: this very test program, which is told by its environment what to be.

use std::{path::PathBuf, process::Stdio, sync::Mutex};

use chat_gateway::{
    model::{MessageId, RoomId, UserId},
    store::{NewMessage, Store as _, StoreError, postgres::PostgresStore},
};
use chat_gateway_config::GatewayConfig;
use chat_shard_mover::{Mover, Observer, Options, Plan, Point, Shard, Step, Stop};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Duration, sleep},
};
use uuid::Uuid;

use super::network::Network;
use crate::family::signal_to;

/// Where a process reads what to be.
const ROLE: &str = "CHAT_MOVES_ROLE";

/// What a mover's process is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct MoverRole {
    pub(crate) slot: i32,
    pub(crate) move_id: Uuid,
    pub(crate) chunk_rows: u32,
    /// Names and URIs of source and destination.
    pub(crate) shards: [(String, String); 2],
    /// Where it stops and says so, as it is written for people.
    pub(crate) point: String,
    /// Whether its clock jumps there.
    pub(crate) jumps: bool,
    /// Whether it cleans up behind the move.
    pub(crate) cleans: bool,
}

/// What a writer's process is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct WriterRole {
    pub(crate) config: GatewayConfig,
    pub(crate) room: Uuid,
    pub(crate) user: Uuid,
}

/// A process that speaks in lines.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Process {
    /// Starts this program as what an ignored test of it is.
    pub(crate) fn start(test: &str, role: &impl Serialize) -> Self {
        Self::of(Command::new(program()), test, role)
    }

    /// The same in a network of its own.
    pub(crate) fn start_in(network: &Network, test: &str, role: &impl Serialize) -> Self {
        Self::of(network.inside(&program()).into(), test, role)
    }

    fn of(mut command: Command, test: &str, role: &impl Serialize) -> Self {
        let mut child = command
            .args(["--exact", test, "--ignored", "--nocapture", "--quiet"])
            .env(ROLE, serde_json::to_string(role).expect("a role"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("this program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let input = child.stdin.take().expect("its input");
        Self { child, lines, input }
    }

    /// The next line; none when it has ended.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.expect("its output")
    }

    /// Waits for a line that begins so; false when it ends without.
    pub(crate) async fn says(&mut self, word: &str) -> bool {
        while let Some(line) = self.line().await {
            if line.starts_with(word) {
                return true;
            }
        }
        false
    }

    /// Lets it go on.
    pub(crate) async fn go(&mut self) {
        // It may have been killed.
        drop(self.input.write_all(b"go\n").await);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = self.child.id() {
            signal_to(pid, signal);
        }
    }

    /// The rest of its lines, once it has ended.
    pub(crate) async fn rest(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        drop(self.child.wait().await);
        lines
    }
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn role<T: DeserializeOwned>() -> T {
    let role = std::env::var(ROLE).expect("this is a process that other tests start, and no test by itself");
    serde_json::from_str(&role).expect("a role")
}

/// Says where it is and waits to be told to go on.
struct Speaker {
    point: String,
    jumps: bool,
    said: Mutex<bool>,
}

impl Observer for Speaker {
    async fn at(&self, point: Point) -> Result<(), Stop> {
        if format!("{point:?}") != self.point || std::mem::replace(&mut *self.said.lock().unwrap(), true) {
            return Ok(());
        }
        println!("reached");
        let told = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        told.await.unwrap().expect("to be told to go on");
        if self.jumps {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(3_600)).await;
            tokio::time::resume();
        }
        Ok(())
    }
}

/// A mover's process.
pub(crate) async fn be_a_mover() {
    let role: MoverRole = role();
    let [(from, from_uri), (to, to_uri)] = &role.shards;
    let connect = async |name: &str, uri: &str| Shard::connect(name, &uri.parse::<PgConnectOptions>().unwrap()).await;
    let plan = Plan { slot: role.slot, move_id: role.move_id, epoch: None };
    let options = Options { chunk_rows: role.chunk_rows, ..Options::default() };
    let speaker = Speaker { point: role.point.clone(), jumps: role.jumps, said: Mutex::new(false) };
    let (source, destination) = (connect(from, from_uri).await.unwrap(), connect(to, to_uri).await.unwrap());
    let mut mover = Mover::new(plan, source, destination, options, speaker).await.unwrap();
    let mut ended = mover.run().await.map(drop);
    if ended.is_ok() && role.cleans {
        ended = mover.clean(true).await.map(drop);
    }
    match ended {
        Ok(()) => println!("done"),
        Err(error) if error.is_transient() => println!("passing {error:?}"),
        Err(chat_shard_mover::MoveError::Refused { refusal, .. }) => println!("refused {refusal:?}"),
        Err(error) => println!("wrong {error:?}"),
    }
}

/// A writer's process: says what it is about to send, and what it was answered.
pub(crate) async fn be_a_writer() {
    let role: WriterRole = role();
    let store = PostgresStore::start(&role.config);
    println!("reached");
    loop {
        let id = Uuid::now_v7();
        let content = chat_gateway::model::Content::text("from another process");
        let new = NewMessage { room: RoomId(role.room), message_id: MessageId(id), sender: UserId(role.user), content };
        println!("try {id}");
        loop {
            match store.send(new.clone()).await {
                Ok(sent) => break println!("sent {id} {}", sent.message.seq),
                Err(StoreError::Unavailable { .. }) => sleep(Duration::from_millis(20)).await,
                Err(other) => return println!("wrong {other}"),
            }
        }
        sleep(Duration::from_millis(3)).await;
    }
}

/// The point of this name, for a mover in this process.
pub(crate) fn is_of_cleaning(point: Point) -> bool {
    matches!(point, Point::Before(Step::Clean) | Point::After(Step::Clean))
}
