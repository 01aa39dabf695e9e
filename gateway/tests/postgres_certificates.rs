//! A PostgreSQL that speaks TLS and asks everybody for a certificate with the user's name in it (`clientcert=verify-full`): who is refused and how that is
//! told, and a certificate that is renewed while people chat.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{fs, path::Path};

use chat_gateway_config::GatewayConfig;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use support::{
    authority::{Authority, Identity},
    eventually,
    postgres::Postgres,
    redis::Redis,
    scene::{MINUTE, Scene},
    stage::{Stage, run, text},
};

/// Texts in the middle of which the certificate is renewed.
const TEXTS: u64 = 2_000;
const GATEWAY: &str = "chat_gateway";
const OWNER: &str = "chat_owner";

struct Places {
    config: GatewayConfig,
    dir: tempfile::TempDir,
}

impl Places {
    /// Files of URIs of its own, which nothing else writes.
    fn of(stage: &Stage<Redis>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = stage.config();
        for shard in &mut config.database.shards {
            shard.uri_file = dir.path().join(format!("{}-gateway", shard.name));
            shard.migration_uri_file = Some(dir.path().join(format!("{}-owner", shard.name)));
        }
        Self { config, dir }
    }

    /// With other ports.
    fn again(&self, stage: &Stage<Redis>) -> GatewayConfig {
        GatewayConfig { database: self.config.database.clone(), ..stage.config() }
    }

    fn write(&self, who: &str, user: &str, postgres: &Postgres, ca: &Authority, shown: Option<&Identity>) {
        for shard in &self.config.database.shards {
            let file = self.dir.path().join(format!("{}-{who}", shard.name));
            replace(&file, &uri(postgres, user, &shard.name, ca, shown));
        }
    }

    /// Migrates, and says what came of it.
    fn migrate(&self, stage: &Stage<Redis>) -> Result<String, String> {
        let config = stage.write_config("migrate-with-certificates", &self.config);
        let output = run(&["migrate", "--config", config.to_str().unwrap()]);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        if output.status.success() { Ok(said) } else { Err(said) }
    }
}

/// As the operator makes it: the certificates themselves stand in the URI.
fn uri(postgres: &Postgres, user: &str, database: &str, ca: &Authority, shown: Option<&Identity>) -> String {
    let encode = |pem: &str| utf8_percent_encode(pem.trim(), NON_ALPHANUMERIC).to_string();
    let mut uri = format!(
        "postgresql://{user}@127.0.0.1:{}/{database}?sslmode=verify-full&sslrootcert={}",
        postgres.port(),
        encode(&ca.certificate())
    );
    if let Some(Identity { certificate, key }) = shown {
        uri.push_str(&format!("&sslcert={}&sslkey={}", encode(certificate), encode(key)));
    }
    uri
}

/// At once, as Kubernetes does: nobody reads half of it.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_asked_for_and_renewed_while_people_chat() {
    let stage: Stage<Redis> = Stage::unmigrated().await;
    let (authority, stranger) = (Authority::new("ours"), Authority::new("somebody else's"));
    stage.postgres.query("postgres", &format!("create role {OWNER} login createrole"));
    for shard in ["shard_a", "shard_b"] {
        stage.postgres.query("postgres", &format!("alter database {shard} owner to {OWNER}"));
    }
    stage.postgres.demand_certificates(&authority, &[OWNER, GATEWAY]);
    let places = Places::of(&stage);
    let (owner, gateway) = (authority.client(OWNER, 1), authority.client(GATEWAY, 2));
    let postgres = &stage.postgres;
    places.write("gateway", GATEWAY, postgres, &authority, Some(&gateway));

    let refused = |ca: &Authority, shown: Option<&Identity>, words: &[&str]| {
        places.write("owner", OWNER, postgres, ca, shown);
        let said = places.migrate(&stage).unwrap_err();
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!said.contains("PRIVATE"), "{said}");
    };
    let of_strangers = stranger.client(OWNER, 3);
    refused(&stranger, Some(&owner), &["both sides trust", "UnknownIssuer"]);
    refused(&authority, Some(&of_strangers), &["both sides trust", "the server refuses the certificate"]);
    refused(&authority, Some(&gateway), &["refuses the credentials", "certificate authentication failed"]);
    refused(&authority, None, &["refuses the credentials", "certificate"]);
    places.write("owner", OWNER, postgres, &authority, Some(&owner));
    places.migrate(&stage).unwrap();

    // A gateway with a certificate that is refused says so, and is well as soon as it has another one.
    places.write("gateway", GATEWAY, postgres, &authority, Some(&stranger.client(GATEWAY, 4)));
    let a = stage.gateway_with("gateway-a", &places.config);
    eventually("the gateway says why", MINUTE, async || {
        let (status, _) = a.admin("/stats", Some(support::stage::ADMIN_TOKEN)).await;
        status == 200
            && a.stats().await.shards.iter().all(|shard| {
                shard.component.reason == "TlsFailed"
                    && shard.component.message.contains("the server refuses the certificate")
            })
    })
    .await;
    places.write("gateway", GATEWAY, postgres, &authority, Some(&gateway));
    a.wait_ready().await;
    let b = stage.gateway_with("gateway-b", &places.again(&stage));
    b.wait_ready().await;

    let mut scene = Scene::on(stage, a, b).await;
    let renewed = authority.client(GATEWAY, 5);
    let useless = stranger.client(GATEWAY, 6);
    scene
        .chat("a renewed certificate", TEXTS, async |stage, a, b| {
            // One that is refused changes nothing.
            places.write("gateway", GATEWAY, &stage.postgres, &authority, Some(&useless));
            for gateway in [&*a, &*b] {
                let told = async || gateway.log().contains("a changed URI is no use yet");
                eventually("the refusal is logged", MINUTE, told).await;
                assert!(gateway.stats().await.shards.iter().all(|shard| shard.component.available));
            }
            places.write("gateway", GATEWAY, &stage.postgres, &authority, Some(&renewed));
            let shown = |serial: &str| {
                let sql = format!(
                    "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where usename = '{GATEWAY}' and client_serial {serial}"
                );
                stage.postgres.query("postgres", &sql).trim().to_owned()
            };
            eventually("every connection shows the renewed one", MINUTE, async || {
                shown("<> 5") == "0" && shown("= 5") != "0"
            })
            .await;
        })
        .await;
    scene.nothing_secret_was_logged();
    for log in [scene.a.log(), scene.b.log()] {
        assert!(!log.contains("PRIVATE"), "a key was logged: {log}");
    }
}
