//! What the program says when it cannot start: the field, the way out, and exit code 2 when only another configuration helps.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use serde_json::{Value, json};
use support::stage::{config_file, run, text};

fn config() -> Value {
    json!({
        "cluster": "test/demo",
        "listen": "127.0.0.1:0",
        "adminListen": "127.0.0.1:0",
        "adminTokenFile": "/nonexistent/token",
        "drainSeconds": 1,
        "maxConnections": 10,
        "limits": { "messagesPerSecond": 1, "messageBurst": 1, "messageBytes": 1024, "roomsPerConnection": 10 },
        "auth": { "passwords": "Enabled", "signingKeyFile": "/nonexistent/key.pem" },
        "broker": { "rabbitmq": { "uriFile": "/nonexistent/uri" } },
        "redis": { "urlFile": "/nonexistent/url" },
        "database": { "slots": 16, "shards": [{ "name": "a", "uriFile": "/nonexistent/a" }] },
    })
}

fn refuses(change: impl FnOnce(&mut Value), words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    change(&mut config);
    let file = config_file(dir.path(), &config.to_string());
    let output = run(&["serve", "--config", &file.to_string_lossy()]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in words {
        assert!(said.contains(word), "{word} is missing in: {said}");
    }
}

#[test]
fn a_wrong_configuration_is_named_by_field_and_ends_with_2() {
    refuses(|c| c["database"]["slots"] = json!(0), &["database.slots", "1 to 65536"]);
    refuses(|c| c["database"]["shards"] = json!([]), &["database.shards", "at least one"]);
    refuses(|c| c["maxConnections"] = json!(0), &["maxConnections"]);
    refuses(|c| c["surprise"] = json!(1), &["surprise"]);
    refuses(|c| c["listen"] = json!("nowhere"), &["config.json", "socket address"]);
    refuses(|_| {}, &["/nonexistent/key.pem"]);
}

#[test]
fn a_key_of_the_wrong_kind_is_named_with_the_command_that_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    std::fs::write(&key, "no key").unwrap();
    refuses(|c| c["auth"]["signingKeyFile"] = json!(key), &["auth.signingKeyFile", "openssl genpkey"]);
}

#[test]
fn a_move_that_cannot_be_is_named_by_argument_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config["database"]["shards"] =
        json!([{ "name": "a", "uriFile": "/nonexistent/a" }, { "name": "b", "uriFile": "/nonexistent/b" }]);
    let file = config_file(dir.path(), &config.to_string());
    let said = |arguments: &[&str]| {
        let file = file.to_string_lossy();
        let output = run(&[&["move", "--config", &file], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        text(&output.stdout) + &text(&output.stderr)
    };
    let id = "01912345-0000-7000-8000-000000000000";
    for (arguments, words) in [
        (&["--slots", "16", "--from", "a", "--to", "b"][..], ["--slots", "database.slots is 16"]),
        (&["--slots", "1", "--from", "x", "--to", "b"], ["--from", "it has a, b"]),
        (&["--slots", "1", "--from", "a", "--to", "a"], ["--to", "name another one"]),
        (&["--slots", "1-x", "--from", "a", "--to", "b"], ["--slots", "0-31,40"]),
        (&["--slots", "1,2", "--from", "a", "--to", "b", "--move-id", id], ["--move-id", "one slot"]),
        (&["--slots", "1", "--from", "a", "--to", "b", "--abort", "--clean"], ["--abort", "--clean"]),
    ] {
        let said = said(arguments);
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
    }
}

#[test]
fn a_missing_file_or_command_says_so() {
    let missing = run(&["serve", "--config", "/nonexistent/config.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stdout).contains("/nonexistent/config.json"));
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}
