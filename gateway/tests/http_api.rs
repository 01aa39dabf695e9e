//! The documents of the protocol before those who decide what such documents are, and the HTTP part of a real gateway before Schemathesis,
//! which makes requests out of `docs/reference/openapi.yaml`, good ones and bad ones, and holds every answer against it. `cargo xtask test
//! --only http-api` installs what is needed and runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chat_gateway::{embedded, http::operations::Operation};
use chat_gateway_config::Bucket;
use chat_test_client::{Addresses, accounts};
use serde_json::Value;
use support::lone::{Lone, local, wait_ready};

const MINUTE: Duration = Duration::from_secs(60);

/// Examples of each operation and kind, for the short form and the long one.
const EXAMPLES: (u32, u32) = (6, 150);

/// Which operations go together: those that end the session of their token are apart from all others, and from each other.
const CHOICES: [[&str; 2]; 3] = [
    ["--exclude-path-regex", "^/v1/sign-out"],
    ["--include-path", "/v1/sign-out"],
    ["--include-path", "/v1/sign-out-everywhere"],
];

/// So that a failure comes back.
const SEED: &str = "20261124";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A program out of the folder that the test command made.
fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("CHATCLUSTER_API_TOOLS").expect(
        "CHATCLUSTER_API_TOOLS must name a Python environment with the tools; run: cargo xtask test --only http-api",
    );
    let program = Path::new(&folder).join("bin").join(name);
    assert!(program.exists(), "there is no {}; run: cargo xtask test --only http-api", program.display());
    program
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

#[test]
#[ignore = "needs packages from npm; `cargo xtask test --only http-api` installs them"]
fn asyncapi_is_valid() {
    let folder = root("gateway/tests/contract");
    assert!(
        folder.join("node_modules").exists(),
        "the parser is not installed; get it with: (cd {} && npm ci)",
        folder.display()
    );
    let mut command = Command::new("node");
    command.arg("asyncapi.mjs").arg(root("docs/reference/asyncapi.yaml")).current_dir(&folder);
    println!("{}", succeed(&mut command).trim());
}

#[test]
#[ignore = "needs packages from PyPI; `cargo xtask test --only http-api` installs them"]
fn openapi_is_valid() {
    println!(
        "{}",
        succeed(Command::new(tool("openapi-spec-validator")).arg(root("docs/reference/openapi.yaml"))).trim()
    );
}

#[test]
fn openapi_describes_what_the_router_serves() {
    let text = std::fs::read_to_string(root("docs/reference/openapi.yaml")).unwrap();
    let document: Value = serde_yaml_ng::from_str(&text).unwrap();
    for operation in Operation::ALL {
        let described = &document["paths"][operation.path()][operation.method()];
        assert!(described["operationId"].is_string(), "{} {}", operation.method(), operation.path());
    }
    let described: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(described, Operation::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages from PyPI; `cargo xtask test --only http-api` installs them"]
async fn every_answer_over_http_is_one_that_the_document_has() {
    let dir = tempfile::tempdir().unwrap();
    let (listen, admin) = (local(), local());
    let mut config = embedded::prepare(&dir.path().join("data"), listen, admin).unwrap();
    let free = Bucket { per_minute: 0, burst: 1 };
    let rates = &mut config.http.rates;
    (rates.sign_in_per_address, rates.sign_in_per_name) = (free, free);
    (rates.refresh_per_address, rates.refresh_per_user, rates.handshake_per_address) = (free, free, free);
    let (file, log) = (dir.path().join("config.json"), dir.path().join("log"));
    std::fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let _gateway = Lone::serve(&file, &log);
    wait_ready(admin, &log).await;
    let addresses = Addresses::new(vec![listen.to_string()]);
    for choice in CHOICES {
        // A session for each, since some of the requests end it.
        let account = accounts::enter(&addresses, "ann", "a good password", MINUTE).await.unwrap();
        let mut command = Command::new(tool("schemathesis"));
        command.arg("--config-file").arg(root("gateway/tests/contract/schemathesis.toml"));
        command
            .args(["run", "--url", &format!("http://{listen}"), "--checks", "all", "--seed", SEED, "--no-color"])
            .args(["--max-examples", &examples().to_string(), "--suppress-health-check", "all"])
            .args(["--header", &format!("Authorization: Bearer {}", account.token)])
            .args(choice)
            .arg(root("docs/reference/openapi.yaml"))
            .current_dir(dir.path());
        println!("{}", tokio::task::block_in_place(|| succeed(&mut command)).trim());
    }
}

fn examples() -> u32 {
    let (short, long) = EXAMPLES;
    if chat_test_client::is_long() { long } else { short }
}
