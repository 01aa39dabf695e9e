//! A chat client for tests. It speaks `docs/reference/protocol.md` with types of its own, so that a mistake in the
//! gateway's types cannot hide itself; it reconnects, resumes and repeats unacknowledged requests like a good client
//! should; and it writes everything it sent and saw into a [`Ledger`], whose check counts what was lost, duplicated or reordered.

pub mod accounts;
mod actor;
pub mod addresses;
mod backoff;
pub mod cbor;
mod client;
mod forms;
pub mod hints;
pub mod ledger;
pub mod load;
pub mod socket;
pub mod wire;

pub use accounts::{Account, AccountError};
pub use addresses::Addresses;
pub use backoff::Patience;
pub use client::{Ack, Client, ClientConfig, HistoryRange, RequestError, Standing};
pub use forms::is_long;
pub use ledger::{ClientId, Ledger, Verdict};
