//! HTTP to others: to issuers of tokens, and to collectors of traces.

mod authorities;
mod fetch;

pub use self::authorities::RootsError;
pub(crate) use self::fetch::{FetchError, Fetcher};
