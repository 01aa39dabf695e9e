//! Bounds of a move.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::strain::Gauge;

/// Between two fences of a shard (the protocol's section 9): a queue of writers that one has left is gone by then.
pub const FENCE_SPACE: Duration = Duration::from_secs(1);

/// How a move behaves towards the shards. The defaults are those of the protocol.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of a chunk at most.
    pub chunk_rows: u32,
    /// Bytes of a chunk's rows, about, at most; a larger row is a chunk of its own.
    pub chunk_bytes: u64,
    /// Bytes copied in a second at most; none: as fast as the shards can.
    pub bytes_per_second: Option<u64>,
    /// What others feel of it, by which the rate is halved and the copy waits; none: the rate alone holds.
    pub gauge: Option<Arc<Gauge>>,
    /// Changed keys above which the move is given up.
    pub max_backlog: u64,
    /// Changed keys above which writes are not made to wait yet.
    pub fence_backlog: u64,
    /// How long writes wait at most before they go on at the source by themselves.
    pub fence: Duration,
    /// What has to be left of the fence for the hand-over. Covers the rounding of clocks to milliseconds many times.
    pub margin: Duration,
    /// Transactions that hold the slot's lock for longer than this put off the fence: writes would wait for them, too.
    pub long_transaction: Duration,
    /// Writes are not made to wait before: what hands slots over one after the other leaves a shard [`FENCE_SPACE`] between two fences.
    pub fence_from: Instant,
    /// Fences before the move is put off.
    pub fences: u32,
    /// How long the slot's lock is tried for.
    pub lock_patience: Duration,
    /// How long standbys may take to flush what the next step rests on.
    pub standby_patience: Duration,
    /// Standbys that the source must have connected (rules R1, R3); one that is away cannot be told from one that never was.
    pub source_standbys: u32,
    /// As `source_standbys`, of the destination (rules R2, R3).
    pub destination_standbys: u32,
    /// Behind a hand-over after which the destination's standby was promoted and lacks rows: copy these again from the source, which retains
    /// them, instead of failing with [`MoveError::Lost`](crate::MoveError::Lost).
    pub restore: bool,
    /// How far the destination's standbys may be behind before the copy is slowed down to half.
    pub standby_lag: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chunk_rows: 10_000,
            chunk_bytes: 8 << 20,
            bytes_per_second: Some(8 << 20),
            gauge: None,
            max_backlog: 2_000_000,
            fence_backlog: 200,
            fence: Duration::from_millis(500),
            margin: Duration::from_millis(50),
            long_transaction: Duration::from_millis(50),
            fence_from: Instant::now(),
            fences: 20,
            lock_patience: Duration::from_secs(30),
            standby_patience: Duration::from_secs(10),
            source_standbys: 0,
            destination_standbys: 0,
            restore: false,
            standby_lag: Duration::from_secs(5),
        }
    }
}
