//! `chat-gateway move`: moves slots from one shard to another while they are in use, one after the other. What a run has done stands in the two
//! databases: the same command goes on where an earlier one stopped, wherever that was.

mod told;

use std::{sync::Arc, time::Duration};

use chat_gateway_config::{ConfigError, GatewayConfig, SlotList};
use chat_shard_mover::{FENCE_SPACE, Gauge, MoveError, Mover, Options, Plan, Shard, pending};
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use self::told::Teller;
use crate::migrate::{MigrateError, uri_file};

/// How long one slot's move is begun again after a failure that may pass: a database that is started anew, a lock that is held.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// What to do with the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Move them.
    Move,
    /// Give their moves up.
    Abort,
    /// Delete the rows that the source still has of slots that have moved.
    Clean,
}

/// One call of the command.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to do.
    pub task: Task,
    /// With which slots.
    pub slots: SlotList,
    /// Name of the shard that has them.
    pub from: String,
    /// Name of the shard that is to have them.
    pub to: String,
    /// Id of the one slot's move; none: the one that is under way, or a new one.
    pub move_id: Option<Uuid>,
    /// Bytes copied in a second at most; none: the mover's default.
    pub bytes_per_second: Option<u64>,
    /// Standbys that the source must have connected.
    pub source_standbys: u32,
    /// Standbys that the destination must have connected.
    pub destination_standbys: u32,
    /// Whether rows that a promotion at the destination has lost are copied again from the source.
    pub restore: bool,
    /// Progress as JSON, an object a line, instead of text.
    pub json: bool,
}

/// Why slots were not moved. The same command goes on.
#[derive(Debug, thiserror::Error)]
pub enum MovesError {
    /// The configuration is wrong.
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    /// An argument does not fit the configuration.
    #[error("{argument}: {problem}")]
    Argument {
        /// Which one.
        argument: &'static str,
        /// What is wrong with it, and what would fit.
        problem: String,
    },
    /// A URI file cannot be used.
    #[error(transparent)]
    Uri(#[from] MigrateError),
    /// A slot's move failed.
    #[error("failed to {task} slot {slot} from shard {from} to shard {to}")]
    Move {
        /// What was to be done.
        task: &'static str,
        /// The slot.
        slot: i32,
        /// Its source.
        from: String,
        /// Its destination.
        to: String,
        /// Why.
        #[source]
        source: Box<MoveError>,
    },
}

impl MovesError {
    /// One CamelCase word for it, as `docs/reference/gateway.md` lists them.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) => "InvalidConfiguration",
            Self::Argument { .. } => "InvalidArgument",
            Self::Uri(error) => error.reason(),
            Self::Move { source, .. } => source.reason(),
        }
    }

    /// Whether only other arguments or another configuration help.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Argument { .. })
    }
}

impl Job {
    /// What is told when it is done: a word and a sentence.
    #[must_use]
    pub fn done(&self) -> (&'static str, String) {
        let Self { task, slots, from, to, .. } = self;
        match task {
            Task::Move => ("Moved", format!("slots {slots} moved from shard {from} to shard {to}")),
            Task::Abort => {
                ("Aborted", format!("the moves of slots {slots} from shard {from} to shard {to} are given up"))
            }
            Task::Clean => {
                ("Cleaned", format!("shard {from} has nothing left of slots {slots}, which are on shard {to}"))
            }
        }
    }
}

/// Does a job, slot by slot; progress goes to standard output.
///
/// # Errors
/// The first slot that failed; the ones before it are done, the ones after it are as they were.
pub async fn run(config: &GatewayConfig, job: &Job) -> Result<(), MovesError> {
    config.validate()?;
    check(config, job)?;
    let gauge = match job.task {
        Task::Move => gauge(config, job).await,
        Task::Abort | Task::Clean => None,
    };
    let mut pace = Pace { fence_from: Instant::now(), gauge };
    for slot in job.slots.iter() {
        let teller = Teller::new(job.json, slot);
        let done = one(config, job, slot, &pace, &teller).await;
        pace.fence_from = Instant::now() + FENCE_SPACE;
        done.map_err(|error| {
            let (task, from, to) = (task_word(job.task), job.from.clone(), job.to.clone());
            if let Failure::Move(source) = &error {
                teller.failed(source);
            }
            match error {
                Failure::Uri(error) => MovesError::Uri(error),
                Failure::Move(source) => MovesError::Move { task, slot, from, to, source: Box::new(source) },
            }
        })?;
    }
    Ok(())
}

/// What one slot's move leaves to the next one's.
struct Pace {
    fence_from: Instant,
    gauge: Option<Arc<Gauge>>,
}

/// What others feel of the moves. Without it they go on at their rate: a shard that is away just now is for the moves to wait for.
async fn gauge(config: &GatewayConfig, job: &Job) -> Option<Arc<Gauge>> {
    let (from, to) = (access(config, &job.from).await.ok()?, access(config, &job.to).await.ok()?);
    match Gauge::start([(&job.from, &from), (&job.to, &to)]).await {
        Ok(gauge) => Some(Arc::new(gauge)),
        Err(error) => {
            tracing::warn!(%error, "what others feel of the moves is not measured");
            None
        }
    }
}

fn task_word(task: Task) -> &'static str {
    match task {
        Task::Move => "move",
        Task::Abort => "give up the move of",
        Task::Clean => "clean up",
    }
}

/// Whether the arguments fit the configuration and each other.
fn check(config: &GatewayConfig, job: &Job) -> Result<(), MovesError> {
    let fail = |argument, problem| Err(MovesError::Argument { argument, problem });
    let names: Vec<&str> = config.database.shards.iter().map(|shard| shard.name.as_str()).collect();
    for (argument, name) in [("--from", &job.from), ("--to", &job.to)] {
        if !names.contains(&name.as_str()) {
            let names = names.join(", ");
            return fail(argument, format!("database.shards of the configuration has no shard {name}; it has {names}"));
        }
    }
    if job.from == job.to {
        return fail("--to", format!("the slots are to leave shard {}; name another one", job.from));
    }
    let slots = config.database.slots;
    if let Some(slot) = job.slots.iter().find(|slot| u32::try_from(*slot).is_ok_and(|slot| slot >= slots)) {
        return fail("--slots", format!("there is no slot {slot}; database.slots is {slots}, and the first slot is 0"));
    }
    if job.move_id.is_some() && job.slots.iter().nth(1).is_some() {
        return fail("--move-id", "it names the move of one slot; leave it out, or give one slot".to_owned());
    }
    Ok(())
}

enum Failure {
    Uri(MigrateError),
    Move(MoveError),
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        Self::Move(error)
    }
}

/// One slot, with new sessions after each failure that may pass.
async fn one(config: &GatewayConfig, job: &Job, slot: i32, pace: &Pace, teller: &Teller) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    // Once drawn it stays: a second one would be another move.
    let mut move_id = job.move_id;
    loop {
        match attempt(config, job, slot, pace, &mut move_id, teller).await {
            Err(Failure::Move(error)) if error.is_transient() && Instant::now() < deadline => {
                tracing::warn!(slot, %error, cause = ?std::error::Error::source(&error), "the move is begun again");
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

async fn attempt(
    config: &GatewayConfig,
    job: &Job,
    slot: i32,
    pace: &Pace,
    move_id: &mut Option<Uuid>,
    teller: &Teller,
) -> Result<(), Failure> {
    let mut source = connect(config, &job.from).await?;
    let mut destination = connect(config, &job.to).await?;
    let id = match *move_id {
        Some(id) => id,
        None => pending(&mut source, &mut destination, slot).await?.unwrap_or_else(Uuid::now_v7),
    };
    *move_id = Some(id);
    let plan = Plan { slot, move_id: id, epoch: None };
    let defaults = Options::default();
    let options = Options {
        bytes_per_second: job.bytes_per_second.or(defaults.bytes_per_second),
        source_standbys: job.source_standbys,
        destination_standbys: job.destination_standbys,
        restore: job.restore,
        fence_from: pace.fence_from,
        gauge: pace.gauge.clone(),
        ..defaults
    };
    let mut mover = Mover::new(plan, source, destination, options, teller.clone()).await?;
    match job.task {
        Task::Move => {
            let report = mover.run().await?;
            teller.moved(id, &report);
        }
        Task::Abort => {
            mover.abort().await?;
            teller.given_up(id);
        }
        Task::Clean => {
            let rows = mover.clean(true).await?;
            teller.cleaned(rows);
        }
    }
    Ok(())
}

/// A session as the owner of a shard's tables.
async fn connect(config: &GatewayConfig, name: &str) -> Result<Shard, Failure> {
    Ok(Shard::connect(name, &access(config, name).await?).await?)
}

/// How the owner of a shard's tables signs in.
async fn access(config: &GatewayConfig, name: &str) -> Result<PgConnectOptions, Failure> {
    // `check` has looked for it.
    let Some(shard) = config.database.shards.iter().find(|shard| shard.name == name) else {
        return Err(MoveError::OtherShard { expected: name.to_owned(), found: "not configured".to_owned() }.into());
    };
    let path = shard.migration_uri_file.as_ref().unwrap_or(&shard.uri_file);
    uri_file(name, path).await.map_err(Failure::Uri)
}
