//! Times that come again: floors of the autoscaler, windows of moves between shards.

use std::time::Duration;

use chat_crds::chat_cluster::Window;
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, tz::TimeZone};

/// When something holds: from each time of a cron pattern on, for a while.
#[derive(Clone, Debug)]
pub struct Recurrence {
    cron: Cron,
    zone: TimeZone,
    lasts: Duration,
}

/// Two are the same when they say the same.
impl PartialEq for Recurrence {
    fn eq(&self, other: &Self) -> bool {
        self.cron.as_str() == other.cron.as_str() && self.lasts == other.lasts && self.zone == other.zone
    }
}

/// It cannot be used. The text names the field and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    /// No pattern.
    #[error("{field}.cron: {why}; write minute, hour, day of month, month and day of week, such as 45 19 * * 6")]
    Cron {
        /// Path of the block.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// A pattern without a day, such as 30 February.
    #[error("{field}.cron: never comes; correct day and month, or remove it")]
    Never {
        /// Path of the block.
        field: String,
    },
    /// No time zone.
    #[error("{field}.timeZone: {zone} is no time zone; write an IANA name, such as Europe/Berlin")]
    Zone {
        /// Path of the block.
        field: String,
        /// What was given.
        zone: String,
    },
}

impl Recurrence {
    /// Reads the block at the path `field`; `now` is where a next time is looked for. UTC if there is no zone.
    ///
    /// # Errors
    /// See [`RecurrenceError`].
    pub fn read(
        field: &str,
        (cron, zone): (&str, Option<&str>),
        minutes: i32,
        now: Timestamp,
    ) -> Result<Self, RecurrenceError> {
        let field = || field.to_owned();
        let zone = match zone {
            None => TimeZone::UTC,
            Some(zone) => {
                TimeZone::get(zone).map_err(|_| RecurrenceError::Zone { field: field(), zone: zone.to_owned() })?
            }
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron =
            parser.parse(cron).map_err(|error| RecurrenceError::Cron { field: field(), why: error.to_string() })?;
        match cron.find_next_occurrence(&now.to_zoned(zone.clone()), false) {
            Ok(_) => {}
            Err(CronError::TimeSearchLimitExceeded) => return Err(RecurrenceError::Never { field: field() }),
            Err(error) => return Err(RecurrenceError::Cron { field: field(), why: error.to_string() }),
        }
        let minutes = u64::try_from(minutes).unwrap_or_default();
        Ok(Self { cron, zone, lasts: Duration::from_secs(60 * minutes) })
    }

    /// Reads the windows of the list at the path `field`.
    ///
    /// # Errors
    /// As [`Recurrence::read`].
    pub fn windows(field: &str, windows: &[Window], now: Timestamp) -> Result<Vec<Self>, RecurrenceError> {
        let read = windows.iter().map(|window| {
            let field = format!("{field}[{}]", window.name);
            Self::read(&field, (&window.cron, window.time_zone.as_deref()), window.duration_minutes, now)
        });
        read.collect()
    }

    /// Whether one of the windows is open at `now`; where there is none, it always is.
    #[must_use]
    pub fn is_open(windows: &[Self], now: Timestamp) -> bool {
        windows.is_empty() || windows.iter().any(|window| window.holds(now))
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        let here: Zoned = now.to_zoned(self.zone.clone());
        let began = self.cron.find_previous_occurrence(&here, true);
        began.is_ok_and(|began| {
            Duration::try_from(now.duration_since(began.timestamp())).is_ok_and(|age| age < self.lasts)
        })
    }
}
