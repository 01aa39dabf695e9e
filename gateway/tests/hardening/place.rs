//! A gateway that is alone, and people on it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chat_gateway::embedded;
use chat_gateway_config::{GatewayConfig, Timeouts};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    raw::{Answer, Raw, call},
    support::{
        lone::{local, wait_ready},
        process::Process,
        stage::PROGRAM,
    },
};

pub(crate) const PASSWORD: &str = "a good password";

/// Times that a test can wait for.
pub(crate) fn impatient() -> Timeouts {
    Timeouts { head_seconds: 1, request_seconds: 2, connection_seconds: 3, hello_seconds: 1, ping_seconds: 1 }
}

/// A gateway as a process.
pub(crate) struct Place {
    pub(crate) at: String,
    pub(crate) admin: String,
    pub(crate) config: GatewayConfig,
    pub(crate) process: Process,
    log: PathBuf,
    _folder: TempDir,
}

/// Somebody with an account.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Place {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::start(change, None).await
    }

    /// With a limit on open files.
    pub(crate) async fn open_narrow(files: u32, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::start(change, Some(files)).await
    }

    async fn start(change: impl FnOnce(&mut GatewayConfig), files: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = embedded::prepare(folder.path(), local(), local()).unwrap();
        change(&mut config);
        config.validate().unwrap();
        let (file, log) = (folder.path().join("config.json"), folder.path().join("log"));
        write_config(&file, &config);
        if !config.database.shards.is_empty() {
            let migrated = Command::new(PROGRAM).arg("migrate").arg("--config").arg(&file).output().unwrap();
            assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stdout));
        }
        let mut command = match files {
            None => Command::new(PROGRAM),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\"")).arg(PROGRAM);
                shell
            }
        };
        let process = Process::start(command.arg("serve").arg("--config").arg(&file), &log);
        wait_ready(config.admin_listen, &log).await;
        let (at, admin) = (config.listen.to_string(), config.admin_listen.to_string());
        Self { at, admin, config, process, log, _folder: folder }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        call(&self.at, "GET", path, headers, b"").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        call(&self.at, "POST", path, headers, body.to_string().as_bytes()).await
    }

    pub(crate) async fn sign_up(&self, name: &str) -> Person {
        self.sign_up_as(&json!({ "name": name, "password": PASSWORD })).await
    }

    pub(crate) async fn sign_up_as(&self, body: &Value) -> Person {
        let mut answer = self.post("/v1/sign-up", &[], body).await;
        // Short limits are what these tests are about, and a busy machine may take longer to hash a password: then it is there, or not.
        for _ in 0..5 {
            if answer.status != 408 {
                break;
            }
            answer = self.post("/v1/sign-up", &[], body).await;
            if answer.status == 409 {
                answer = self.post("/v1/sign-in", &[], body).await;
            }
        }
        assert!([200, 201].contains(&answer.status), "{body}: {}", answer.text());
        let tokens = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Person { id: text(&tokens["user"]["id"]), token: text(&tokens["token"]) }
    }

    /// A signed-in connection.
    pub(crate) async fn connect(&self, person: &Person) -> Raw {
        let mut socket = self.socket().await;
        socket.hello(&person.token).await;
        socket
    }

    /// A WebSocket that has said nothing yet.
    pub(crate) async fn socket(&self) -> Raw {
        Raw::open(&self.at).await
    }

    /// Somebody new signs up, talks to themself and hears it: the gateway serves.
    pub(crate) async fn serves(&self) {
        let name = format!("w{}", &Uuid::new_v4().simple().to_string()[..12]);
        let mut socket = self.connect(&self.sign_up(&name).await).await;
        let room = socket.group(&[], "").await;
        socket.say(&room, "still here").await;
    }
}

pub(crate) fn write_config(file: &Path, config: &GatewayConfig) {
    std::fs::write(file, serde_json::to_string(config).unwrap()).unwrap();
}
