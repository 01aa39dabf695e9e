//! The recipes of the images for managed backends.

/// How to make a backend's image out of Debian packages.
#[derive(Debug)]
pub struct Recipe {
    /// The image's name within [`crate::build::REGISTRY`].
    pub name: &'static str,
    /// The image's tag: the engine's major version.
    pub tag: &'static str,
    /// The Debian packages; what they depend on comes along.
    pub packages: &'static [&'static str],
    /// Path prefixes that this engine does not need, beyond [`UNNEEDED`].
    pub unneeded: &'static [&'static str],
    /// The script that becomes `/entrypoint.sh`.
    pub entrypoint: &'static str,
    /// `NAME=value` pairs.
    pub environment: &'static [&'static str],
    /// Folders that belong to the account of the image; volumes are mounted over them.
    pub folders: &'static [&'static str],
    /// The TCP port of the engine.
    pub port: u16,
    /// The signal that makes the engine end at once and cleanly.
    pub stop_signal: &'static str,
}

/// What no image needs: documentation (but for the licences), package management, other people's scripting languages.
pub const UNNEEDED: &[&str] = &[
    "dev/",
    "etc/alternatives/",
    "etc/apt/",
    "etc/cron",
    "etc/hostname",
    "etc/init.d/",
    "etc/logrotate.d/",
    "etc/pam.d/",
    "etc/perl/",
    "etc/rc",
    "etc/resolv.conf",
    "etc/security/",
    "etc/systemd/",
    "usr/bin/deb",
    "usr/bin/dpkg",
    "usr/bin/perl",
    "usr/bin/py",
    "usr/include/",
    "usr/lib/dpkg/",
    "usr/lib/python",
    "usr/lib/systemd/",
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/x86_64-linux-gnu/libperl",
    "usr/sbin/dpkg",
    "usr/share/bash-completion/",
    "usr/share/debconf/",
    "usr/share/dpkg/",
    "usr/share/i18n/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/perl",
    "usr/share/python",
    "var/cache/",
    "var/lib/apt/",
    "var/lib/dpkg/",
    "var/log/",
];

/// What every entry point needs: a shell, the small tools, names of protocols and the C.UTF-8 locale.
const BASE: &[&str] = &["base-files", "dash", "coreutils", "libc-bin", "netbase"];

/// PostgreSQL 17. The query compiler (and with it LLVM, 160 MB) is left out: it only pays in long analytical queries.
pub const POSTGRESQL: Recipe = Recipe {
    name: "postgresql",
    tag: "17",
    packages: &["postgresql-17"],
    unneeded: &[
        "usr/lib/postgresql/17/lib/bitcode/",
        "usr/lib/postgresql/17/lib/llvmjit",
        "usr/lib/x86_64-linux-gnu/libLLVM",
        "usr/lib/x86_64-linux-gnu/libz3",
        "usr/share/postgresql-common/",
    ],
    entrypoint: include_str!("../recipes/postgresql/entrypoint.sh"),
    environment: &[
        "PATH=/usr/lib/postgresql/17/bin:/usr/bin:/usr/sbin",
        "PGDATA=/var/lib/postgresql/data/pgdata",
        "PGHOST=/tmp",
        "LANG=C.UTF-8",
    ],
    folders: &["var/lib/postgresql", "var/lib/postgresql/data"],
    port: 5432,
    // Fast shutdown. SIGTERM would wait for every client to leave.
    stop_signal: "SIGINT",
};

/// RabbitMQ 4 with Erlang 27.
pub const RABBITMQ: Recipe = Recipe {
    name: "rabbitmq",
    tag: "4",
    packages: &["rabbitmq-server"],
    unneeded: &[],
    entrypoint: include_str!("../recipes/rabbitmq/entrypoint.sh"),
    environment: &[
        "PATH=/usr/lib/rabbitmq/bin:/usr/bin:/usr/sbin",
        "HOME=/tmp/rabbitmq",
        "RABBITMQ_NODENAME=rabbit@localhost",
        "ERL_EPMD_ADDRESS=127.0.0.1",
        "ERL_CRASH_DUMP_SECONDS=0",
        "LANG=C.UTF-8",
    ],
    folders: &["var/lib/rabbitmq"],
    port: 5672,
    stop_signal: "SIGTERM",
};

/// RabbitMQ 4 as the RabbitMQ Cluster Operator wants an image: it brings settings, name, cookie and plugins itself, and runs commands in it. Only its
/// tests start this one.
pub const RABBITMQ_FOR_OPERATOR: Recipe = Recipe {
    name: "rabbitmq-for-operator",
    tag: "4",
    packages: &["rabbitmq-server", "bash", "sed"],
    unneeded: &[],
    entrypoint: include_str!("../recipes/rabbitmq-for-operator/entrypoint.sh"),
    environment: &[
        "PATH=/usr/lib/rabbitmq/bin:/usr/bin:/usr/sbin",
        "HOME=/var/lib/rabbitmq",
        "RABBITMQ_LOGS=-",
        "ERL_CRASH_DUMP_SECONDS=0",
        "LANG=C.UTF-8",
    ],
    folders: &["var/lib/rabbitmq", "var/log/rabbitmq"],
    port: 5672,
    stop_signal: "SIGTERM",
};

/// Redis 8.
pub const REDIS: Recipe = Recipe {
    name: "redis",
    tag: "8",
    packages: &["redis-server"],
    unneeded: &["usr/bin/redis-benchmark"],
    entrypoint: include_str!("../recipes/redis/entrypoint.sh"),
    environment: &["PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8"],
    folders: &["data"],
    port: 6379,
    stop_signal: "SIGTERM",
};

/// HAProxy 3. It is not a backend but stands before the gateways.
pub const HAPROXY: Recipe = Recipe {
    name: "haproxy",
    tag: "3",
    packages: &["haproxy"],
    unneeded: &["etc/haproxy/", "usr/bin/halog", "usr/share/vim/", "var/lib/haproxy/"],
    entrypoint: include_str!("../recipes/haproxy/entrypoint.sh"),
    environment: &["PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8"],
    folders: &[],
    port: 9080,
    // Closes the ports and waits for the connections. SIGTERM would cut them.
    stop_signal: "SIGUSR1",
};

/// Prometheus 2. No image of ours: the operator asks one that is there already, and its tests start this one.
pub const PROMETHEUS: Recipe = Recipe {
    name: "prometheus",
    tag: "2",
    packages: &["prometheus"],
    unneeded: &[
        "etc/default/",
        "etc/prometheus/",
        "usr/bin/promtool",
        "usr/share/fonts",
        "usr/share/javascript/",
        "usr/share/prometheus/",
    ],
    entrypoint: "#!/bin/sh\nexec prometheus \"$@\"\n",
    environment: &["PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8"],
    folders: &[],
    port: 9090,
    stop_signal: "SIGTERM",
};

/// PgBouncer 1. No image of ours: some have one before their PostgreSQL, and tests of the store start this one.
pub const PGBOUNCER: Recipe = Recipe {
    name: "pgbouncer",
    tag: "1",
    packages: &["pgbouncer"],
    unneeded: &["etc/default/", "etc/pgbouncer/", "usr/lib/postgresql/", "usr/share/postgresql-common/"],
    entrypoint: "#!/bin/sh\nexec pgbouncer \"$@\"\n",
    environment: &["PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8"],
    folders: &[],
    port: 6432,
    // Waits for the transactions that run.
    stop_signal: "SIGINT",
};

/// All servers that the operator can run beside gateways.
pub const ALL: &[&Recipe] = &[&POSTGRESQL, &RABBITMQ, &REDIS, &HAPROXY];

impl Recipe {
    /// All packages to unpack.
    #[must_use]
    pub fn all_packages(&self) -> Vec<&'static str> {
        BASE.iter().chain(self.packages).copied().collect()
    }

    /// Whether a file of the Debian root goes into the image.
    #[must_use]
    pub fn keeps(&self, path: &str) -> bool {
        if path.starts_with("usr/share/doc/") {
            return path.ends_with("/copyright");
        }
        !UNNEEDED.iter().chain(self.unneeded).any(|prefix| path.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_stay_and_manuals_go() {
        assert!(REDIS.keeps("usr/share/doc/redis-server/copyright"));
        assert!(!REDIS.keeps("usr/share/doc/redis-server/changelog.gz"));
        assert!(!REDIS.keeps("usr/share/man/man1/redis-cli.1.gz"));
        assert!(REDIS.keeps("usr/bin/redis-server"));
    }

    #[test]
    fn only_postgresql_goes_without_its_query_compiler() {
        assert!(!POSTGRESQL.keeps("usr/lib/x86_64-linux-gnu/libLLVM.so.19.1"));
        assert!(POSTGRESQL.keeps("usr/lib/postgresql/17/bin/initdb"));
    }
}
