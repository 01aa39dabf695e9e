//! The gateway under test, as its program runs: one process, every message committed before it is acknowledged.

use std::{
    cell::OnceCell,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use chat_gateway::{
    auth::{Ed25519Tokens, Tokens as _, names},
    embedded,
    model::{RoomId, RoomKind, SessionId, User},
    store::{NewRoom, NewUser, Store, StoreError, sessions::NewSession, sqlite::SqliteStore},
};
use chat_gateway_config::{Database as DatabaseConfig, GatewayConfig, Limits, Passwords, Shard};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::{Peer, Process, Word, free_address, number_after, shown};
use crate::{generator::body, layout::Layout};

/// Rates that no run reaches: what is measured is not the rate limit.
const RATE: u32 = 100_000;
/// Writes of the preparation that are under way at once.
const WRITES: usize = 256;
/// How long people stay signed in: longer than any run.
const SIGNED_IN: Duration = Duration::from_secs(6 * 3_600);
/// Time until a gateway has seen its backends.
const READY: Duration = Duration::from_secs(60);

/// What the gateway keeps messages in.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// One SQLite file, synchronised at every commit: the gateway's own default.
    Embedded,
    /// One PostgreSQL shard: files with the URI for gateways and the URI for migrations.
    Postgres(PathBuf, PathBuf),
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ChatGateway {
    program: PathBuf,
    database: Database,
    /// Made at the first start; a second one finds them in the database.
    world: OnceCell<World>,
}

/// Tokens of all users and ids of all rooms, by number.
#[derive(Debug)]
struct World {
    tokens: Vec<String>,
    rooms: Vec<String>,
}

impl ChatGateway {
    /// The gateway that this program is.
    pub(crate) fn new(program: &Path, database: Database) -> Self {
        Self { program: program.to_owned(), database, world: OnceCell::new() }
    }

    fn config(&self, folder: &Path, address: SocketAddr) -> Result<GatewayConfig> {
        let config = embedded::prepare(&folder.join("data"), address, free_address()?)?;
        let database = match &self.database {
            Database::Embedded => config.database,
            Database::Postgres(uri, migration) => DatabaseConfig {
                slots: config.database.slots,
                shards: vec![Shard {
                    name: "bench".into(),
                    uri_file: uri.clone(),
                    migration_uri_file: Some(migration.clone()),
                }],
                embedded: None,
            },
        };
        let limits = Limits { messages_per_second: RATE, message_burst: RATE, ..config.limits };
        let mut config = GatewayConfig { max_connections: RATE, limits, database, ..config };
        config.auth.passwords = Passwords::Disabled;
        config.http.rates.write_per_address.per_minute = 0;
        Ok(config)
    }

    fn token(&self, user: usize) -> &str {
        self.world.get().map_or("", |world| &world.tokens[user])
    }

    fn room(&self, room: u32) -> &str {
        self.world.get().map_or("", |world| &world.rooms[room as usize])
    }

    /// Accounts, rooms and tokens.
    fn prepare(config: &GatewayConfig, layout: &Layout) -> Result<World> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let rooms = runtime.block_on(async {
            match &config.database.embedded {
                Some(embedded) => seed(&SqliteStore::open(&embedded.file)?, layout).await,
                None => seed(&chat_gateway::store::postgres::PostgresStore::start(config), layout).await,
            }
        })?;
        let key = std::fs::read(&config.auth.signing_key_file)?;
        let signer = Ed25519Tokens::new(&key, &config.cluster, u32::try_from(SIGNED_IN.as_secs())?)?;
        let token = |number| {
            let user = user(number);
            signer.issue(&user, sign_in(&user)).0
        };
        let tokens = (0..layout.users()).map(token).collect();
        Ok(World { tokens, rooms })
    }
}

fn user(number: usize) -> User {
    let name = format!("u{number:06}");
    User { id: names::user_id(&name), display_name: name.clone(), name }
}

/// The one sign-in of a user.
fn sign_in(user: &User) -> SessionId {
    SessionId(user.id.0)
}

/// Makes an account that is signed in, since a gateway asks for that when a connection begins.
async fn enter(store: &dyn Store, user: User) -> Result<(), StoreError> {
    let session = NewSession {
        user: user.id,
        id: sign_in(&user),
        token_hash: [0; 32],
        idle: SIGNED_IN,
        life: SIGNED_IN,
        user_agent: String::new(),
    };
    store.create_user(NewUser { user, password_hash: String::new() }).await?;
    store.create_session(session).await
}

/// Makes the accounts and rooms of a layout; returns the rooms' ids. What the outbox would tell is done here, so that a server finds
/// nothing left to do.
///
/// # Errors
/// The store refuses.
async fn seed(store: &dyn Store, layout: &Layout) -> Result<Vec<String>> {
    let deadline = Instant::now() + READY;
    // A store over a network comes up by itself; the first write tells.
    while store.create_user(NewUser { user: user(0), password_hash: String::new() }).await.is_err() {
        if Instant::now() > deadline {
            bail!("the database does not take accounts");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stream::iter(0..layout.users())
        .map(|number| enter(store, user(number)))
        .buffer_unordered(WRITES)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let made = (0..layout.rooms()).map(|room| async move {
        let members = layout.members(u32::try_from(room)?);
        let mut members = members.iter().map(|member| user(*member as usize));
        let creator = members.next().context("a room without members")?.id;
        let id = RoomId(Uuid::now_v7());
        let title = format!("room {room}");
        let new = NewRoom { id, kind: RoomKind::Group, title, creator, members: members.collect() };
        let made = store.create_room(new, None).await?;
        let events = stream::iter(&made.events).map(|event| store.apply_membership(&event.event));
        events.buffer_unordered(WRITES).try_for_each(|()| std::future::ready(Ok(()))).await?;
        let keys: Vec<_> = made.events.iter().map(|event| event.key).collect();
        store.finish_outbox(&keys).await?;
        anyhow::Ok(id.to_string())
    });
    stream::iter(made).buffered(32).try_collect().await
}

impl Peer for ChatGateway {
    fn name(&self) -> &'static str {
        "chat-gateway"
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    fn build(&mut self) -> Result<()> {
        if !self.program.exists() {
            bail!(
                "no gateway at {}: run the benchmarks with cargo xtask bench, which builds it",
                self.program.display()
            );
        }
        Ok(())
    }

    fn start(&self, layout: &Layout, folder: &Path, address: SocketAddr) -> Result<Process> {
        let config = self.config(folder, address)?;
        let file = folder.join("config.json");
        std::fs::write(&file, serde_json::to_string(&config)?)?;
        let file = file.display().to_string();
        if self.world.get().is_none() {
            if config.database.embedded.is_none() {
                let migrated =
                    std::process::Command::new(&self.program).args(["migrate", "--config", &file]).output()?;
                if !migrated.status.success() {
                    bail!("migration: {}", String::from_utf8_lossy(&migrated.stdout));
                }
            }
            drop(self.world.set(Self::prepare(&config, layout)?));
        }
        let log = folder.join("chat-gateway.log");
        let mut process = Process::start(&self.program, &["serve", "--name", "bench", "--config", &file], &log)?;
        process.wait_for(config.admin_listen)?;
        let deadline = Instant::now() + READY;
        while !is_ready(config.admin_listen) {
            if Instant::now() > deadline {
                bail!("the gateway is not ready: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    fn keeps_messages(&self) -> bool {
        true
    }

    fn path(&self) -> &'static str {
        "/v1/ws"
    }

    fn sub_protocol(&self) -> Option<&'static str> {
        Some("chat.v1")
    }

    fn greeting(&self, user: usize, _: &Layout, resume: &[(u32, u64)]) -> String {
        let known: Vec<String> =
            resume.iter().map(|(room, seq)| format!("{{\"room\":\"{}\",\"seq\":{seq}}}", self.room(*room))).collect();
        let (token, known) = (self.token(user), known.join(","));
        format!("{{\"type\":\"hello\",\"id\":0,\"token\":\"{token}\",\"resume\":[{known}]}}")
    }

    fn publication(&self, _: usize, room: u32, number: usize, body: &str) -> String {
        let (room, id) = (self.room(room), Uuid::now_v7());
        format!("{{\"type\":\"send\",\"id\":{number},\"room\":\"{room}\",\"message_id\":\"{id}\",\"body\":\"{body}\"}}")
    }

    fn understand(&self, frame: &[u8], tell: &mut dyn FnMut(Word<'_>)) {
        if frame.starts_with(b"{\"type\":\"message\"") {
            if let (Some(body), Some(seq)) = (body::find(frame), number_after(frame, b"\"seq\":")) {
                tell(Word::Delivery { body, seq });
            }
        } else if let Some(number) = number_after(&frame[..frame.len().min(30)], b"{\"re\":") {
            let answer = memchr::memmem::find(&frame[..frame.len().min(60)], b"\"type\":\"").map(|at| &frame[at + 8..]);
            match answer {
                Some([b's', b'e', b'n', b't', ..]) => {
                    tell(Word::Accepted(usize::try_from(number).unwrap_or(usize::MAX)))
                }
                Some([b'w', b'e', b'l', b'c', ..]) => tell(Word::Ready),
                _ => tell(Word::Refused(&shown(frame))),
            }
        }
    }
}

/// Whether `/readyz` says so.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
