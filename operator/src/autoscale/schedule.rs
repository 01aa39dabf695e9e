//! Floors for known times.

use chat_crds::chat_cluster::Schedule;
use jiff::Timestamp;

use crate::recurrence::{Recurrence, RecurrenceError};

/// A floor and when it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    name: String,
    when: Recurrence,
    replicas: i32,
}

impl Floor {
    /// Reads a schedule; `now` is where a next time is looked for.
    ///
    /// # Errors
    /// See [`RecurrenceError`].
    pub fn read(schedule: &Schedule, now: Timestamp) -> Result<Self, RecurrenceError> {
        let Schedule { name, cron, time_zone, duration_minutes, min_replicas } = schedule;
        let field = format!("spec.gateways.autoscaling.schedules[{name}]");
        let when = Recurrence::read(&field, (cron, time_zone.as_deref()), *duration_minutes, now)?;
        Ok(Self { name: name.clone(), when, replicas: *min_replicas })
    }
}

/// The highest floor in force: its name and its number.
pub(super) fn highest(floors: &[Floor], now: Timestamp) -> Option<(&str, i32)> {
    let highest = floors.iter().filter(|floor| floor.when.holds(now)).max_by_key(|floor| floor.replicas)?;
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
            assert!(
                text.contains("spec.gateways.autoscaling.schedules[show].cron") && text.contains("such as 45 19 * * 6"),
                "{text}"
            );
        }
        let text = refused("* * * * *", Some("Europe/Bielefeld"));
        assert!(text.contains("schedules[show].timeZone: Europe/Bielefeld is no time zone"), "{text}");
    }
}
