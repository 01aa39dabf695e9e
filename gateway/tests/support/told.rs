//! What came of one trouble, as a row of a table.

use std::{fmt, time::Duration};

use chat_test_client::ledger::{FaultKind, Verdict};

/// See the module's documentation.
pub struct Told {
    /// The trouble.
    pub what: String,
    /// Messages acknowledged while it lasted.
    pub acked: u64,
    /// Bytes of the long ones among them.
    pub long_bytes: u64,
    /// Everything since the scene opened.
    pub verdict: Verdict,
    /// From the end of the trouble and of the load until everyone had everything.
    pub catch_up: Duration,
    /// How many bytes more than before the first word each gateway took at most.
    pub growth: [u64; 2],
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, acked, long_bytes, verdict, catch_up, growth } = self;
        let count = |kind| verdict.count(kind);
        let mib = |bytes| bytes as f64 / 1024.0 / 1024.0;
        write!(
            f,
            "{what}: {acked} acknowledged, lost {}, doubled {}, reordered {}, stray {}; everyone has all {catch_up:.1?} later; memory +{:.1} and +{:.1} MiB, long texts {:.1} MiB",
            count(FaultKind::Lost),
            count(FaultKind::Duplicated),
            count(FaultKind::Reordered) + count(FaultKind::Gap),
            count(FaultKind::Stray),
            mib(growth[0]),
            mib(growth[1]),
            mib(*long_bytes),
        )
    }
}
