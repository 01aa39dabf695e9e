//! Logs on standard output: JSON lines for programs, plain lines for a person at a terminal. The level is that of the live configuration, else that of
//! `RUST_LOG`, else `info`; the audit log comes at any. Message bodies, tokens and credentials are never logged.

use std::{io::IsTerminal as _, sync::OnceLock};

use chat_gateway_config::LogLevel;
use tracing_subscriber::{EnvFilter, Registry, fmt, prelude::*, reload};

use crate::audit;

/// What logs are filtered by. There is one of a process, as there is one standard output.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging; a second call changes nothing.
pub fn start() {
    let (filter, handle) = reload::Layer::new(filter(None));
    let registry = tracing_subscriber::registry().with(filter);
    let started = if std::io::stdout().is_terminal() {
        registry.with(fmt::layer().with_target(false)).try_init()
    } else {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(lines).try_init()
    };
    if started.is_ok() {
        drop(FILTER.set(handle));
    }
}

/// Logs as much as this from now on; without a level as much as at the start.
pub fn set_level(level: Option<LogLevel>) {
    // Not there in tests, which log as they like; and a filter that is gone took the output with it.
    if let Some(handle) = FILTER.get() {
        drop(handle.reload(filter(level)));
    }
}

fn filter(level: Option<LogLevel>) -> EnvFilter {
    with_audit(match level {
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives(LogLevel::Info))),
        Some(level) => EnvFilter::new(directives(level)),
    })
}

/// Lets the audit log through, whatever else is left out.
pub(crate) fn with_audit(filter: EnvFilter) -> EnvFilter {
    match format!("{}=info", audit::TARGET).parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}

/// krafka, lapin and sqlx tell at `info` and `warn` what this program reports itself, in its own words. What libraries tell at `debug` could hold what
/// people write.
const fn directives(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn,krafka=error,lapin=error,sqlx=error",
        LogLevel::Info => "info,krafka=error,lapin=error,sqlx=error",
        LogLevel::Debug => "info,krafka=error,lapin=error,sqlx=error,chat_gateway=debug,chat_shards=debug",
    }
}
