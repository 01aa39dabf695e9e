//! What SQLite says, in the words of the store.

use rusqlite::{Error, ErrorCode};

use super::SHARD;
use crate::store::StoreError;

/// The store is away for a reason that may pass: the disk is full or broken, or the threads have ended.
pub(super) fn unavailable(cause: impl Into<String>) -> StoreError {
    StoreError::Unavailable { shard: SHARD.to_owned(), cause: cause.into() }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let passing = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::OutOfMemory
            )
        );
        if passing { unavailable(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}
