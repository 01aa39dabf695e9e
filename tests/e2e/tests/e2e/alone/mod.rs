//! Tests that need the whole machine: they take away what all clusters share (the node, the operator), or they promise a time, or
//! they push as much load as the machine bears. `cargo xtask test` runs them one after the other, when no other test runs.

mod backends_away;
mod external_backends;
mod faults;
mod kafka;
mod load;
mod namespaced;
mod operator_away;
mod paused;
mod times;
mod two_operators;

use std::time::Duration;

/// Within this time a ChatCluster says that a part of it is away.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);
