//! Each backend's image starts and serves under the conditions of Pod Security `restricted`.
//!
//! They need root and a Debian mirror, so they run through `cargo xtask test` only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test is to end where something is missing")]

mod sandbox;

use images::backends::{self, Recipe};
use images::{BuildOptions, BuiltImage, build_backend};

fn built(recipe: &Recipe) -> BuiltImage {
    build_backend(recipe, &|line| println!("{line}"), &BuildOptions::default()).unwrap()
}

fn run(recipe: &Recipe, environment: &[&str], writable: &[&str], script: &str) -> String {
    let path = recipe.environment.iter().find(|pair| pair.starts_with("PATH=")).unwrap();
    let all: Vec<&str> = recipe.environment.iter().chain(environment).copied().collect();
    sandbox::run(&built(recipe), &all, writable, &format!("export {path}\n{script}"))
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn long_the_smallest_root_built_twice_is_the_same_bit_by_bit() {
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        let options = BuildOptions { folder: folder.path().to_owned(), ..BuildOptions::default() };
        let image = build_backend(&backends::REDIS, &|line| println!("{line}"), &options).unwrap();
        (image.digest, std::fs::read(image.tar).unwrap())
    };
    let (first, second) = std::thread::scope(|scope| {
        let beside = scope.spawn(build);
        (build(), beside.join().unwrap())
    });
    assert_eq!(first.0, second.0);
    // Not by `assert_eq`, which would print both.
    assert!(first.1 == second.1, "the archives differ though their digest is the same");
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn postgresql_makes_its_database_once_and_asks_for_the_password() {
    let printed = run(
        &backends::POSTGRESQL,
        &["POSTGRES_PASSWORD_FILE=/secrets/password"],
        &["tmp", "var/lib/postgresql/data"],
        r#"
        start() {
            /entrypoint.sh -c max_connections=42 >/tmp/log 2>&1 &
            until pg_isready -q -h 127.0.0.1 -p 5432; do
                kill -0 $! || { cat /tmp/log; exit 1; }
                sleep 0.1
            done
        }
        sql() { PGPASSWORD=$1 psql -h 127.0.0.1 -U postgres -XAtc "$2" 2>&1 || true; }
        mkdir "$PGDATA.initdb" && touch "$PGDATA.initdb/left-by-a-crash"
        start
        sql a-secret "create table kept as select 7 as value"
        sql wrong "select 1"
        for setting in max_connections data_checksums password_encryption; do sql a-secret "show $setting"; done
        sql a-secret "select concat_ws(' ', datlocale, datlocprovider, pg_encoding_to_char(encoding)) from pg_database where datname = 'postgres'"
        kill -INT $! && wait $!
        start
        sql a-secret "select value from kept"
        kill -INT $! && wait $!
        "#,
    );
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "SELECT 1", "{printed}");
    assert!(lines[1].contains("password authentication failed"), "{printed}");
    assert_eq!(lines[2..], ["42", "on", "scram-sha-256", "C.UTF-8 b UTF8", "7"], "{printed}");
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn redis_keeps_its_password_out_of_the_process_list() {
    let printed = run(
        &backends::REDIS,
        &["REDIS_PASSWORD_FILE=/secrets/password"],
        &["tmp", "data"],
        r#"
        /entrypoint.sh --appendonly yes >/tmp/log 2>&1 &
        until redis-cli ping >/tmp/ping 2>&1; do
            kill -0 $! || { cat /tmp/log; exit 1; }
            sleep 0.1
        done
        redis-cli ping
        REDISCLI_AUTH=a-secret redis-cli ping
        REDISCLI_AUTH=a-secret redis-cli config get appendonly
        cat /proc/[0-9]*/cmdline | tr '\0' ' ' >/tmp/commands
        case $(cat /tmp/commands) in *redis-server*a-secret*) echo shown ;; *redis-server*) echo hidden ;; esac
        kill $! && wait $!
        "#,
    );
    assert_eq!(printed.lines().next(), Some("NOAUTH Authentication required."), "{printed}");
    assert!(printed.contains("PONG\nappendonly\nyes\n"), "{printed}");
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn redis_takes_other_passwords_while_it_runs_and_who_is_connected_stays() {
    let printed = run(
        &backends::REDIS,
        &["REDIS_PASSWORD_FILE=/tmp/password", "REDIS_FOLLOW_SECONDS=0.2"],
        &["tmp", "data"],
        r#"
        echo one >/tmp/password
        /entrypoint.sh >/tmp/log 2>&1 &
        server=$!
        knock() { REDISCLI_AUTH=$1 redis-cli ping 2>/dev/null | head -n 1; }
        until_knock() {
            until [ "$(knock "$1")" = "$2" ]; do
                kill -0 $server || { cat /tmp/log; exit 1; }
                sleep 0.1
            done
        }
        write() { printf "$1" >/tmp/new && mv /tmp/new /tmp/password; }
        until_knock one PONG
        mkfifo /tmp/asked
        REDISCLI_AUTH=one redis-cli </tmp/asked >/tmp/answered &
        exec 3>/tmp/asked
        echo "set kept 42" >&3
        write 'one\ntwo\n'
        until_knock two PONG
        echo "both: $(knock one) $(knock two)"
        write 'two\none'
        sleep 1
        echo "turned: $(knock one) $(knock two)"
        write 'not good\n'
        sleep 1
        echo "refused: $(knock one) $(knock two)"
        write 'two\n'
        until_knock one "NOAUTH Authentication required."
        echo "one: $(knock two)"
        echo "get kept" >&3
        exec 3>&-
        sleep 1
        cat /tmp/answered
        cat /proc/[0-9]*/cmdline | tr '\0' ' ' >/tmp/commands
        case $(cat /tmp/commands) in *redis-server*two*) echo shown ;; *redis-server*) echo hidden ;; esac
        kill $server && wait $server
        "#,
    );
    let lines: Vec<&str> = printed.lines().collect();
    let expected = ["both: PONG PONG", "turned: PONG PONG", "refused: PONG PONG", "one: PONG", "OK", "42"];
    assert_eq!(lines.get(..expected.len()), Some(&expected[..]), "{printed}");
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn rabbitmq_takes_another_user_while_it_runs_and_keeps_the_one_before_without_a_password() {
    let printed = run(
        &backends::RABBITMQ,
        &[
            "RABBITMQ_DEFAULT_USER_FILE=/tmp/user",
            "RABBITMQ_DEFAULT_PASS_FILE=/tmp/password",
            "RABBITMQ_FOLLOW_SECONDS=1",
        ],
        &["tmp", "var/lib/rabbitmq"],
        r#"
        write() {
            printf "$1" >/tmp/new-user && printf "$2" >/tmp/new-password
            mv /tmp/new-user /tmp/user && mv /tmp/new-password /tmp/password
        }
        write 'chat\n' 'one\n'
        start() {
            /entrypoint.sh >/tmp/log 2>&1 &
            server=$!
            until_said "Server startup complete"
        }
        until_said() {
            tries=0
            while :; do
                case $(cat /tmp/log) in *"$1"*) break ;; esac
                tries=$((tries + 1))
                kill -0 $server && [ $tries -lt 300 ] || { cat /tmp/log; exit 1; }
                sleep 0.2
            done
        }
        knock() { rabbitmqctl -q authenticate_user "$1" "$2" >/dev/null 2>&1 && echo in || echo out; }
        start
        write 'chat\nchat2\n' 'one\ntwo\n'
        until_said "took the users"
        echo "both: $(knock chat one) $(knock chat2 two)"
        rabbitmqctl -q list_user_permissions chat2 | tail -n 1 | tr '\t' ' '
        : >/tmp/log
        write 'chat2' 'two'
        until_said "took the users"
        echo "one: $(knock chat one) $(knock chat2 two)"
        rabbitmqctl -s list_users | cut -f 1 | sort | tr '\n' ' '
        echo
        kill $server && wait $server || echo "ended with $?"
        # The node remembers; the names change while it is away.
        write 'chat\n' 'three\n'
        start
        until_said "took the users"
        echo "again: $(knock chat one) $(knock chat three) $(knock chat2 two)"
        kill $server && wait $server || echo "ended with $?"
        "#,
    );
    for line in ["both: in in", "/ .* .* .*", "one: out in", "again: out in out"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    assert!(printed.contains("chat chat2 "), "{printed}");
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn rabbitmq_makes_its_user_and_listens() {
    let printed = run(
        &backends::RABBITMQ,
        &["RABBITMQ_DEFAULT_USER_FILE=/secrets/user", "RABBITMQ_DEFAULT_PASS_FILE=/secrets/password"],
        &["tmp", "var/lib/rabbitmq"],
        r#"
        /entrypoint.sh >/tmp/log 2>&1 &
        server=$!
        while :; do
            case $(cat /tmp/log) in *"Server startup complete"*) break ;; esac
            kill -0 $server || { cat /tmp/log; exit 1; }
            sleep 0.2
        done
        rabbitmq-diagnostics -q check_port_listener 5672
        rabbitmqctl -q authenticate_user chat a-secret
        rabbitmqctl -q list_users
        kill $server && wait $server || echo "ended with $?"
        "#,
    );
    assert!(printed.contains("Success"), "{printed}");
    assert!(printed.lines().any(|line| line.starts_with("chat\t")), "{printed}");
    assert!(!printed.contains("guest"), "{printed}");
}
