//! The Centrifuge clients that people use, unchanged, against a real gateway: `centrifuge` from npm and `centrifuge-go`, each in JSON and
//! in Protobuf, and against two of them over the same backends. The programs under `sdks/` check what they see themselves; here is what happens to them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use chat_test_client::{Account, Addresses, Client, ClientConfig, Ledger, accounts};
use support::{
    lone::{Lone, local, wait_ready},
    redis::Redis,
    stage::Stage,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command},
    sync::watch,
    time::timeout,
};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);

/// What every program publishes before it says `live`.
const OWN: u64 = 20;

/// What is said while the programs are cut off, and after that.
const MISSED: u64 = 30;
const LATER: u64 = 10;

/// The way to a gateway, as through a load balancer. It can be cut: a client of a gateway that was killed comes back at once, and would miss
/// nothing.
struct Wire {
    address: SocketAddr,
    /// Where it leads; nowhere while it is cut.
    target: watch::Sender<Option<SocketAddr>>,
}

impl Wire {
    async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, target) = (listener.local_addr().unwrap(), watch::Sender::new(Some(gateway)));
        let state = target.subscribe();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut state = state.clone();
                let Some(gateway) = *state.borrow() else { continue };
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(gateway).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(Option::is_none) => {}
                    }
                });
            }
        });
        Self { address, target }
    }

    fn leads_to(&self, gateway: Option<SocketAddr>) {
        self.target.send_replace(gateway);
    }

    fn url(&self) -> String {
        format!("ws://{}/connection/websocket", self.address)
    }
}

/// A running SDK program.
struct Sdk {
    name: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Sdk {
    fn start(name: &str, program: &[&Path], arguments: &[&str]) -> Self {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: failed to start {command:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { name: name.into(), child, lines }
    }

    async fn says(&mut self, word: &str) {
        let line = timeout(MINUTE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{}: no word {word} within {MINUTE:?}", self.name)).unwrap();
        assert_eq!(line.as_deref(), Some(word), "{}: what is wrong stands above", self.name);
    }

    async fn hears(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn ends(mut self) {
        let ended = timeout(MINUTE, self.child.wait()).await.unwrap_or_else(|_| panic!("{}: goes on", self.name));
        assert!(ended.unwrap().success(), "{}", self.name);
    }
}

fn sdks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks")
}

/// The JavaScript program, with its packages.
fn js() -> [PathBuf; 2] {
    let folder = sdks().join("js");
    let installed = folder.join("node_modules/.package-lock.json");
    assert!(installed.exists(), "the SDK is not installed; get it with: (cd gateway/tests/sdks/js && npm ci)");
    ["node".into(), folder.join("client.mjs")]
}

/// The Go program, built from modules that are in Go's cache.
async fn go(dir: &Path) -> PathBuf {
    let program = dir.join("sdk");
    let mut build = Command::new("go");
    build.args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".").current_dir(sdks().join("go"));
    let output = build.env("GOPROXY", "off").output().await;
    let output = output.unwrap_or_else(|error| panic!("Go 1.24 or newer is needed, from https://go.dev/dl: {error}"));
    assert!(
        output.status.success(),
        "the SDK is not there; get it with: (cd gateway/tests/sdks/go && go mod download)\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}

async fn account(addresses: &Addresses, name: &str) -> Account {
    accounts::enter(addresses, name, "a good password", MINUTE).await.unwrap()
}

/// A person who talks to the programs.
async fn person(name: &str, addresses: &Addresses) -> Client {
    let config = ClientConfig::new(account(addresses, name).await, addresses.clone(), Ledger::new());
    Client::start(config).await.unwrap()
}

/// Starts a program in each mode, each with a room of its own shared with Ann; they are live when this returns.
async fn live(ann: &Client, addresses: &Addresses, url: &str, programs: &[(&str, &[&Path])]) -> Vec<(Sdk, Uuid)> {
    let private = ann.create_room("group", "private", &[]).await.unwrap().id;
    let mut running: Vec<(Sdk, Uuid)> = Vec::new();
    for (language, program) in programs {
        for mode in ["json", "protobuf"] {
            let name = format!("{language}-{mode}");
            let token = account(addresses, &name).await.token;
            let room = ann.create_room("direct", "", &[name.as_str().into()]).await.unwrap().id;
            let (channel, foreign) = (format!("room:{room}"), format!("room:{private}"));
            running.push((Sdk::start(&name, program, &[mode, url, &token, &channel, &foreign]), room));
        }
    }
    for (sdk, room) in &mut running {
        sdk.says("live").await;
        assert!(ann.wait_position(*room, OWN, MINUTE).await, "Ann has what the program published");
    }
    running
}

/// What the programs miss.
async fn say_unheard(ann: &Client, running: &[(Sdk, Uuid)]) {
    for (_, room) in running {
        for nth in 0..MISSED {
            ann.send(*room, &format!("missed {nth}")).await.unwrap();
        }
    }
}

/// What they hear when they are back; they check that it is everything, in order, and come to their end.
async fn say_more(ann: &Client, mut running: Vec<(Sdk, Uuid)>) {
    for (sdk, room) in &mut running {
        sdk.hears(&(OWN + MISSED + LATER).to_string()).await;
        for nth in 0..LATER {
            ann.send(*room, &format!("later {nth}")).await.unwrap();
        }
    }
    for (mut sdk, _) in running {
        sdk.says("done").await;
        sdk.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_clients_publish_read_and_recover_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (js, go) = (js(), go(dir.path()).await);
    let js: Vec<&Path> = js.iter().map(PathBuf::as_path).collect();
    let listen = local();
    let mut gateway = Lone::start(dir.path(), listen);
    wait_ready(gateway.admin, &gateway.log).await;
    let wire = Wire::to(listen).await;
    let addresses = Addresses::new(vec![listen.to_string()]);
    let ann = person("ann", &addresses).await;
    let running = live(&ann, &addresses, &wire.url(), &[("js", &js), ("go", &[&go])]).await;
    wire.leads_to(None);
    gateway.kill_and_start();
    wait_ready(gateway.admin, &gateway.log).await;
    say_unheard(&ann, &running).await;
    wire.leads_to(Some(listen));
    say_more(&ann, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_clients_recover_on_another_gateway_when_theirs_is_killed() {
    let stage: Stage<Redis> = Stage::start().await;
    let (mut a, b) = tokio::join!(stage.ready_gateway("gateway-a"), stage.ready_gateway("gateway-b"));
    let wire = Wire::to(a.address.parse().unwrap()).await;
    let addresses = Addresses::new(vec![b.address.clone()]);
    let ann = person("ann", &addresses).await;
    let js = js();
    let js: Vec<&Path> = js.iter().map(PathBuf::as_path).collect();
    let running = live(&ann, &addresses, &wire.url(), &[("js", &js)]).await;
    wire.leads_to(None);
    a.process.kill();
    say_unheard(&ann, &running).await;
    wire.leads_to(Some(b.address.parse().unwrap()));
    say_more(&ann, running).await;
}
