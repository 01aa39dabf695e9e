//! The statements of SQL that pages have people type, on a real PostgreSQL and with the real migration: shards of an engine of one's own, by either way
//! that the page has, and users that are rotated.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{collections::BTreeSet, fs, process::Command};

use chat_gateway::embedded;
use chat_gateway_config::Shard;
use support::{lone::local, postgres::Postgres, stage::PROGRAM};

const OWN_ENGINES: &str = "docs/how-to/external-backends.md";
const ROTATION: &str = "docs/how-to/rotate-credentials.md";
/// What stands in the place of a password that pages leave open.
const PASSWORD: &str = "left-open";
/// Blocks that the tests below run, by page.
const RUN: [(&str, usize); 2] = [(OWN_ENGINES, 3), (ROTATION, 2)];

/// The blocks of SQL of a page, with a password.
fn blocks(path: &str) -> Vec<String> {
    let page = pages::all().unwrap().into_iter().find(|page| page.path == path).unwrap();
    let with_password =
        |block: String| block.replace("'…'", &format!("'{PASSWORD}'")).replace("'...'", &format!("'{PASSWORD}'"));
    pages::blocks(&page.text, "sql").into_iter().map(with_password).collect()
}

/// Runs a block as the server's administrator, a statement at a time: databases are made outside of transactions. Returns what the last one answers.
fn run(server: &Postgres, database: &str, block: &str) -> String {
    // What stands behind two hyphens is said to the reader.
    let code: String = block.lines().map(|line| line.split("--").next().unwrap_or(line)).collect();
    let statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    let mut answer = String::new();
    for statement in statements {
        answer = server.query(database, statement);
    }
    answer
}

/// Migrates shards that the gateways read as one user and the migration writes as another.
fn migrate(server: &Postgres, databases: &[&str], gateways: &str, owner: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = embedded::prepare(&folder.path().join("data"), local(), local()).unwrap();
    config.database.embedded = None;
    let write = |file: String, uri: String| {
        let path = folder.path().join(file);
        fs::write(&path, uri).unwrap();
        path
    };
    let shards = databases.iter().map(|database| Shard {
        name: (*database).replace('_', "-"),
        uri_file: write(format!("{database}-uri"), server.uri(gateways, PASSWORD, database)),
        migration_uri_file: Some(write(format!("{database}-migration"), server.uri(owner, PASSWORD, database))),
    });
    config.database.shards = shards.collect();
    let file = folder.path().join("config.json");
    fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let output = Command::new(PROGRAM).args(["migrate", "--config"]).arg(&file).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

/// Functions of a shard that a user may call, and tables that it may read.
fn rights(server: &Postgres, database: &str, user: &str) -> [usize; 2] {
    let count = |sql: &str| server.query(database, sql).trim().parse().unwrap();
    [
        count(&format!(
            "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
             where n.nspname = 'chat' and has_function_privilege('{user}', p.oid, 'execute')"
        )),
        count(&format!(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = 'chat' and c.relkind = 'r' and has_table_privilege('{user}', c.oid, 'insert')"
        )),
    ]
}

#[test]
fn every_block_is_run_here() {
    let shown: BTreeSet<(String, usize)> = pages::all()
        .unwrap()
        .into_iter()
        .map(|page| (page.path, pages::blocks(&page.text, "sql").len()))
        .filter(|(_, blocks)| *blocks > 0)
        .collect();
    assert_eq!(shown, RUN.map(|(page, blocks)| (page.to_owned(), blocks)).into());
}

#[tokio::test]
async fn a_database_of_ones_own_is_migrated_and_its_user_rotates() {
    let server = Postgres::start().await;
    run(&server, "postgres", &blocks(OWN_ENGINES)[0]);
    migrate(&server, &["chat"], "chat_gateway", "chat_owner");
    let [functions, tables] = rights(&server, "chat", "chat_gateway");
    assert!(functions > 20 && tables == 0, "{functions} functions, {tables} tables");
    // What the store's conformance suite has before a PgBouncer.
    run(&server, "postgres", &blocks(OWN_ENGINES)[2]);

    let [new, old] = blocks(ROTATION).try_into().unwrap();
    run(&server, "postgres", &new.replace("chat_gateway_2", "chat_gateway_1"));
    run(&server, "postgres", &new);
    assert_eq!(rights(&server, "chat", "chat_gateway_2"), [functions, tables]);
    migrate(&server, &["chat"], "chat_gateway_2", "chat_owner");
    run(&server, "chat", &old);
    let may = |user: &str| server.query("chat", &format!("select rolcanlogin from pg_roles where rolname = '{user}'"));
    assert_eq!((may("chat_gateway_1").trim(), may("chat_gateway_2").trim()), ("f", "t"));
}

#[tokio::test]
async fn databases_on_one_server_are_migrated_with_a_login_of_their_own() {
    let server = Postgres::start().await;
    run(&server, "postgres", &blocks(OWN_ENGINES)[1]);
    migrate(&server, &["chat_a", "chat_b"], "chat_login", "chat_owner");
    for database in ["chat_a", "chat_b"] {
        let [functions, tables] = rights(&server, database, "chat_login");
        assert!(functions > 20 && tables == 0, "{database}: {functions} functions, {tables} tables");
    }
}
