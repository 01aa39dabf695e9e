//! What this machine allows: open files, processors, and time.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files of a server beside its connections: libraries, database, log, timers.
const SPARE_FILES: u64 = 200;

/// Raises the soft limit of open files to the hard one, for this process and the servers it starts, and checks that it is enough.
///
/// # Errors
/// The hard limit is too low; says how many connections would do.
pub(crate) fn open_files(connections: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let needed = connections as u64 + SPARE_FILES;
    if let Some(most) = limit.maximum.filter(|most| *most < needed) {
        bail!(
            "{connections} connections need {needed} open files and the hard limit is {most}: raise it (ulimit -Hn {needed}, as root), \
             or measure fewer with --connections {}",
            most.saturating_sub(SPARE_FILES)
        );
    }
    Ok(())
}

/// Processors that this program was given, before it kept off one of them.
pub(crate) fn processors() -> usize {
    static FIRST: OnceLock<usize> = OnceLock::new();
    *FIRST.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// Where servers run when there are two processors or more; this program keeps off it.
pub(crate) const SERVER_PROCESSOR: &str = "0";

/// Keeps this thread, and what it starts unless told otherwise, off the servers' processor.
///
/// # Errors
/// The system refuses.
pub(crate) fn leave_processor_to_servers() -> Result<()> {
    if processors() < 2 {
        eprintln!("only one processor: server and load generator share it, and every figure suffers");
        return Ok(());
    }
    let mut set = rustix::thread::CpuSet::new();
    (1..processors()).for_each(|processor| set.set(processor));
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

static DEADLINE: OnceLock<Instant> = OnceLock::new();

/// Sets the time limit of the whole run.
pub(crate) fn limit_time(limit: Duration) {
    DEADLINE.get_or_init(|| Instant::now() + limit);
}

/// Fails once the time limit is over; called wherever something is waited for.
///
/// # Errors
/// The time is over.
pub(crate) fn check_time() -> Result<()> {
    if DEADLINE.get().is_some_and(|deadline| Instant::now() > *deadline) {
        bail!("over the time limit of the run (--minutes): measure fewer workloads with --only, or use --quick");
    }
    Ok(())
}
