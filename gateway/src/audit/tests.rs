use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
};

use serde_json::{Value, json};
use tracing::{Dispatch, subscriber::NoSubscriber};
use uuid::Uuid;

use super::*;
use crate::telemetry;

const PAGE: &str = include_str!("../../../docs/reference/audit.md");

/// `tracing` asks the subscriber of the thread that writes a line first whether anybody wants it, as long as one subscriber is all there is. Most tests have
/// none, and would switch the line off for this one. With a second all are asked.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is written by `write` where all other lines are off.
fn written(write: impl FnOnce()) -> Vec<Value> {
    LazyLock::force(&ANOTHER);
    let lines = Lines::default();
    let to = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(telemetry::with_audit(tracing_subscriber::EnvFilter::new("off,audit=off")))
        .with_writer(move || to.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, write);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The first cells of the table under a heading.
fn listed(heading: &str) -> Vec<&'static str> {
    let section = PAGE.split_once(heading).unwrap().1.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[test]
fn a_line_comes_whatever_the_level_with_fields_of_the_page() {
    let keys = ["k1".to_owned(), "k2".to_owned()];
    let record = Record {
        request: Some(Uuid::from_u128(1)),
        room: Some(RoomId(Uuid::from_u128(2))),
        user: Some(UserId(Uuid::from_u128(3))),
        role: Some(Role::Admin),
        message: Some(4),
        session: Some(SessionId(Uuid::from_u128(5))),
        asked: Some(6),
        route: Some(("PUT", "/cordon")),
        keys: Some((&keys, "k1")),
        config: Some("c0ffee"),
        ..Record::new(Act::SetRole, By::User(UserId(Uuid::from_u128(7))), Some([192, 0, 2, 1].into()))
    };
    let lines = written(|| record.write(Outcome::Done));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(
        (&line["target"], &line["act"], &line["outcome"]),
        (&json!("audit"), &json!("set-role"), &json!("done"))
    );
    assert_eq!((&line["by"], &line["from"], &line["keys"]), (&json!("user"), &json!("192.0.2.1"), &json!("k1,k2")));
    let listed = listed("\n## Fields\n");
    for field in line.as_object().unwrap().keys() {
        assert!(listed.contains(&field.as_str()), "docs/reference/audit.md lacks the field {field}");
    }
}

#[test]
fn the_page_lists_the_acts_there_are_and_no_others() {
    assert_eq!(listed("\n## Acts of a gateway\n"), Act::ALL.map(Act::name));
}

#[test]
fn what_was_not_done_has_its_reason_and_its_bound() {
    let record = Record::new(Act::AdminRequest, By::Unknown, None);
    let lines = written(|| {
        for _ in 0..=allowance::LINES {
            record.write(refusal(ErrorCode::Unauthenticated));
        }
        record.write(Outcome::Done);
        catch_up(true);
    });
    let count = |outcome: &str| lines.iter().filter(|line| line["outcome"] == outcome).count();
    assert_eq!((count("denied"), count("done")), (allowance::LINES as usize, 1), "what was done is never left out");
    assert_eq!(lines[0]["reason"], "unauthenticated");
    assert_eq!(lines[0].get("user"), None);
    let last = lines.last().unwrap();
    let told = (&last["act"], &last["outcome"], &last["left_out"]);
    assert_eq!(told, (&json!("admin-request"), &json!("left-out"), &json!(1)));
}

#[test]
fn what_the_gateway_could_not_do_is_no_denial() {
    assert_eq!(refusal(ErrorCode::Unavailable), Outcome::Failed("unavailable"));
    assert_eq!(refusal(ErrorCode::Forbidden), Outcome::Denied("forbidden"));
}
