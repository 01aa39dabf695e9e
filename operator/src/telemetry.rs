//! Logs: one JSON object a line on stdout. The audit log comes whatever the filter says.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::audit;

/// The log filter could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the log filter {filter:?}; use something like `info` or `chat_operator=debug`")]
pub struct FilterError {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging for the whole process. A second call changes nothing.
///
/// # Errors
/// When `filter` is not a log filter.
pub fn init(filter: &str) -> Result<(), FilterError> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    let parsed = with_audit(parsed);
    let json =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
    // A second subscriber (tests in one process) is refused by tracing; the first one stays, which is what we want.
    let _ = tracing_subscriber::registry().with(parsed).with(json).try_init();
    Ok(())
}

/// Lets the audit log through, whatever else is left out.
#[must_use]
pub fn with_audit(filter: EnvFilter) -> EnvFilter {
    match format!("{}=info", audit::TARGET).parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}
