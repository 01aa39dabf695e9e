//! Logs on standard output: JSON lines for programs, plain lines for a person at a terminal, the level by `RUST_LOG` (default `info`). Message bodies, tokens and credentials are never logged.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// Starts logging; a second call changes nothing.
pub fn start() {
    // krafka, lapin and sqlx tell at `info` and `warn` what this program reports itself, in its own words.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,krafka=error,lapin=error,sqlx=error"));
    let registry = tracing_subscriber::registry().with(filter);
    drop(if std::io::stdout().is_terminal() {
        registry.with(fmt::layer().with_target(false)).try_init()
    } else {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(lines).try_init()
    });
}
