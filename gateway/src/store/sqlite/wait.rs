//! A gateway that takes over from one that has not ended yet.

use std::{path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::{OpenError, SqliteStore};

/// How often the file is tried again. The kernel has no wait for a lock that could be given up.
const PAUSE: Duration = Duration::from_millis(100);

impl SqliteStore {
    /// As [`SqliteStore::open`], but waits up to `patience` for another process that has the file. A pod is replaced as soon as it is told
    /// to end, so the new gateway regularly starts while the old one still drains.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::InUse`] when the other process is still there after `patience`.
    pub async fn open_within(file: &Path, patience: Duration) -> Result<Self, OpenError> {
        let end = Instant::now() + patience;
        let mut told = false;
        loop {
            match Self::open(file) {
                Err(OpenError::InUse(_)) if Instant::now() < end => {}
                result => return result,
            }
            if !told {
                tracing::info!(file = %file.display(), seconds = patience.as_secs(), "waiting for the gateway that has the file");
                told = true;
            }
            sleep(PAUSE).await;
        }
    }
}
