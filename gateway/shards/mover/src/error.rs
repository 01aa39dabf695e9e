//! Why a move did not come to its end.

use chat_shard_protocol::Refusal;

use crate::observe::Step;

/// Why a move stopped. Unless it says otherwise, running the move again with the same id goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// A row of the slot does not allow the step.
    #[error("slot {slot}: shard {shard} refuses to {step} the move")]
    Refused {
        /// The slot.
        slot: i32,
        /// Whose row it is.
        shard: String,
        /// What was tried.
        step: Step,
        /// Why not.
        #[source]
        refusal: Refusal,
    },
    /// The database failed.
    #[error("shard {shard}: failed to {doing}")]
    Sql {
        /// Which database.
        shard: String,
        /// What was tried.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
    /// Somebody holds the slot's lock, and does not let go.
    #[error(
        "slot {slot}: its lock on shard {shard} was not free for {waited_ms} ms; end the transaction that holds it (pg_locks, \
         locktype advisory, objid {slot}), or run the move again later"
    )]
    Busy {
        /// The slot.
        slot: i32,
        /// Which database.
        shard: String,
        /// How long the mover tried, in milliseconds.
        waited_ms: u128,
    },
    /// A row of `chat.slot_ownership` that no mover wrote.
    #[error(
        "shard {shard}: the row of slot {slot} in chat.slot_ownership has no usable {field}; was it written by hand?"
    )]
    Row {
        /// Which database.
        shard: String,
        /// The slot.
        slot: i32,
        /// The column.
        field: &'static str,
    },
    /// A database is not the shard it should be.
    #[error("the database given for shard {expected} is shard {found}; check the URIs of the configuration")]
    OtherShard {
        /// The configured name.
        expected: String,
        /// What the database says.
        found: String,
    },
    /// The two schemas do not fit each other, or this program.
    #[error("shard {shard}: {problem}")]
    Schema {
        /// Which database.
        shard: String,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// The destination's rows are not the source's. The move was given up, and the source has the slot.
    #[error("slot {slot}: table {table} differs between source and destination at key {key}; the move was given up")]
    Mismatch {
        /// The slot.
        slot: i32,
        /// The table.
        table: &'static str,
        /// The first key that differs, as JSON.
        key: String,
    },
    /// The destination's standby was promoted behind the hand-over, and lacks rows that the source retains. The slot stays closed: opened, it
    /// would miss acknowledged writes. [`Options::restore`](crate::Options::restore) brings them back.
    #[error(
        "slot {slot}: shard {shard} was promoted after the hand-over and lacks key {key} of table {table}, which the source has; run the move \
         again with --restore: it copies from the source what is missing, and then opens the slot"
    )]
    Lost {
        /// The slot.
        slot: i32,
        /// The destination.
        shard: String,
        /// The table.
        table: &'static str,
        /// The first key that differs, as JSON.
        key: String,
    },
    /// The slot is written to faster than the mover follows. The move was given up, and the source has the slot.
    #[error(
        "slot {slot}: {keys} changed keys wait to be copied, over the limit of {limit}; the move was given up: raise the limit, or move the slot when it is quieter"
    )]
    Backlog {
        /// The slot.
        slot: i32,
        /// Keys in the change log.
        keys: u64,
        /// The limit.
        limit: u64,
    },
    /// A standby does not follow (rules R1 to R3).
    #[error(
        "shard {shard}: its standbys did not flush the write-ahead log within {waited_ms} ms; look at pg_stat_replication there (the mover needs pg_read_all_stats), then run the move again"
    )]
    Standby {
        /// Which primary.
        shard: String,
        /// How long the mover waited, in milliseconds.
        waited_ms: u128,
    },
    /// Every fence ended before the hand-over.
    #[error(
        "slot {slot}: {fences} fences ended before the slot could be handed over; run the move again when the shards have less to do"
    )]
    Fences {
        /// The slot.
        slot: i32,
        /// How many were tried.
        fences: u32,
    },
    /// The caller's observer stopped the move.
    #[error("slot {slot}: the move was stopped; run it again to go on")]
    Stopped {
        /// The slot.
        slot: i32,
    },
}

impl MoveError {
    /// One CamelCase word for it, as `docs/reference/gateway.md` lists them.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "Refused",
            Self::Sql { .. } => "Sql",
            Self::Busy { .. } => "Busy",
            Self::Row { .. } => "Row",
            Self::OtherShard { .. } => "OtherShard",
            Self::Schema { .. } => "Schema",
            Self::Mismatch { .. } => "Mismatch",
            Self::Lost { .. } => "Lost",
            Self::Backlog { .. } => "Backlog",
            Self::Standby { .. } => "Standby",
            Self::Fences { .. } => "Fences",
            Self::Stopped { .. } => "Stopped",
        }
    }

    /// Whether the same call may succeed in a moment, with new connections.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sql { source, .. } => match source {
                sqlx::Error::Database(error) => {
                    // Connection, resources, shutdown and restart, lock timeout, deadlock, cancelled, and a session that was idle for too
                    // long while it held something: this program was.
                    let code = error.code().unwrap_or_default();
                    ["08", "53", "57"].iter().any(|class| code.starts_with(class))
                        || ["55P03", "40P01", "25P03"].contains(&&*code)
                }
                other => matches!(other, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed),
            },
            Self::Busy { .. } | Self::Standby { .. } | Self::Fences { .. } => true,
            Self::Refused { refusal, .. } => matches!(
                refusal,
                Refusal::FenceHolds
                    | Refusal::FenceLapsed
                    | Refusal::TimelineChanged
                    | Refusal::LogNotEmpty
                    | Refusal::NotFlushed
            ),
            _ => false,
        }
    }
}
