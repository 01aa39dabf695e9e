//! Floors for known times.

use std::time::Duration;

use chat_crds::chat_cluster::Schedule;
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, tz::TimeZone};

/// A floor and when it holds.
#[derive(Clone, Debug)]
pub struct Floor {
    name: String,
    cron: Cron,
    zone: TimeZone,
    lasts: Duration,
    replicas: i32,
}

/// Two floors are the same when they say the same.
impl PartialEq for Floor {
    fn eq(&self, other: &Self) -> bool {
        let key = |floor: &Self| (floor.name.clone(), floor.cron.as_str().to_owned(), floor.lasts, floor.replicas);
        key(self) == key(other) && self.zone == other.zone
    }
}

/// A schedule cannot be used. The text names the field and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// No pattern.
    #[error(
        "spec.gateways.autoscaling.schedules[{name}].cron: {why}; write minute, hour, day of month, month and day of week, such as 45 19 * * 6"
    )]
    Cron {
        /// Name of the schedule.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A pattern without a day, such as 30 February.
    #[error(
        "spec.gateways.autoscaling.schedules[{name}].cron: never comes; correct day and month, or remove the schedule"
    )]
    Never {
        /// Name of the schedule.
        name: String,
    },
    /// No time zone.
    #[error(
        "spec.gateways.autoscaling.schedules[{name}].timeZone: {zone} is no time zone; write an IANA name, such as Europe/Berlin"
    )]
    Zone {
        /// Name of the schedule.
        name: String,
        /// What was given.
        zone: String,
    },
}

impl Floor {
    /// Reads a schedule; `now` is where a next time is looked for.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn read(schedule: &Schedule, now: Timestamp) -> Result<Self, ScheduleError> {
        let name = schedule.name.clone();
        let zone = match &schedule.time_zone {
            None => TimeZone::UTC,
            Some(zone) => {
                TimeZone::get(zone).map_err(|_| ScheduleError::Zone { name: name.clone(), zone: zone.clone() })?
            }
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser
            .parse(&schedule.cron)
            .map_err(|error| ScheduleError::Cron { name: name.clone(), why: error.to_string() })?;
        match cron.find_next_occurrence(&now.to_zoned(zone.clone()), false) {
            Ok(_) => {}
            Err(CronError::TimeSearchLimitExceeded) => return Err(ScheduleError::Never { name }),
            Err(error) => return Err(ScheduleError::Cron { name, why: error.to_string() }),
        }
        let minutes = u64::try_from(schedule.duration_minutes).unwrap_or_default();
        Ok(Self { name, cron, zone, lasts: Duration::from_secs(60 * minutes), replicas: schedule.min_replicas })
    }

    /// Whether it holds at `now`.
    fn holds(&self, now: Timestamp) -> bool {
        let here: Zoned = now.to_zoned(self.zone.clone());
        let began = self.cron.find_previous_occurrence(&here, true);
        began.is_ok_and(|began| {
            Duration::try_from(now.duration_since(began.timestamp())).is_ok_and(|age| age < self.lasts)
        })
    }
}

/// The highest floor in force: its name and its number.
pub(super) fn highest(floors: &[Floor], now: Timestamp) -> Option<(&str, i32)> {
    let highest = floors.iter().filter(|floor| floor.holds(now)).max_by_key(|floor| floor.replicas)?;
    Some((&highest.name, highest.replicas))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: Option<&str>) -> Schedule {
        Schedule {
            name: "show".to_owned(),
            cron: cron.to_owned(),
            time_zone: zone.map(str::to_owned),
            duration_minutes: 90,
            min_replicas: 7,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn holds_from_its_time_on_for_as_long_as_it_says() {
        let floor = Floor::read(&schedule("45 19 * * 6", None), at("2026-11-26T00:00:00Z")).unwrap();
        // 28 November 2026 is a Saturday.
        let floors = [floor];
        for (time, holds) in [
            ("2026-11-28T19:44:59Z", false),
            ("2026-11-28T19:45:00Z", true),
            ("2026-11-28T21:14:59Z", true),
            ("2026-11-28T21:15:00Z", false),
            ("2026-11-29T19:50:00Z", false),
        ] {
            assert_eq!(highest(&floors, at(time)), holds.then_some(("show", 7)), "{time}");
        }
    }

    /// On 29 March 2026 the clocks of Berlin jump from 2 to 3: a floor at half past two begins with the jump, and none is lost.
    #[test]
    fn follows_the_clocks_of_its_zone() {
        let floors = [Floor::read(&schedule("30 2 * * *", Some("Europe/Berlin")), at("2026-03-01T00:00:00Z")).unwrap()];
        assert_eq!(highest(&floors, at("2026-03-28T01:29:00Z")), None);
        assert!(highest(&floors, at("2026-03-28T01:31:00Z")).is_some(), "winter: 02:31 there");
        assert!(highest(&floors, at("2026-03-29T01:31:00Z")).is_some(), "03:31, after the jump");
        assert!(highest(&floors, at("2026-03-30T00:31:00Z")).is_some(), "summer: 02:31 there");
    }

    #[test]
    fn the_highest_counts() {
        let read = |replicas| {
            let schedule =
                Schedule { min_replicas: replicas, name: format!("n{replicas}"), ..schedule("* * * * *", None) };
            Floor::read(&schedule, Timestamp::UNIX_EPOCH).unwrap()
        };
        let floors = [3, 9, 5].map(read);
        assert_eq!(highest(&floors, at("2026-11-26T08:00:30Z")), Some(("n9", 9)));
        assert_eq!(highest(&[], at("2026-11-26T08:00:30Z")), None);
    }

    #[test]
    fn refusals_name_the_schedule_and_the_way_out() {
        let refused = |cron: &str, zone: Option<&str>| {
            Floor::read(&schedule(cron, zone), at("2026-11-26T00:00:00Z")).unwrap_err().to_string()
        };
        assert!(refused("0 0 30 2 *", None).contains("schedules[show].cron: never comes"));
        for broken in ["every day", "61 * * * *", "* * * * * *", "* * *"] {
            let text = refused(broken, None);
            assert!(text.contains("schedules[show].cron") && text.contains("such as 45 19 * * 6"), "{text}");
        }
        let text = refused("* * * * *", Some("Europe/Bielefeld"));
        assert!(text.contains("schedules[show].timeZone: Europe/Bielefeld is no time zone"), "{text}");
    }
}
