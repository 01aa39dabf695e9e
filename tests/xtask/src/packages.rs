//! Packages that tests need, of Debian, npm and Go: installed when absent and possible, otherwise named with the command that gets them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use crate::{paths, shell};

/// A program and the package that brings it.
struct Needed {
    path: &'static str,
    package: &'static str,
}

/// What the tests beside the local Kubernetes start.
const NEEDED: &[Needed] = &[
    Needed { path: "/usr/bin/java", package: "default-jre-headless" },
    Needed { path: "/usr/bin/mvn", package: "maven" },
    Needed { path: "/usr/bin/chromium", package: "chromium" },
    Needed { path: "/usr/share/doc/python3-venv", package: "python3-venv" },
];

/// What tests lose packets with, in network namespaces of their own.
const NETWORKS: &[Needed] = &[
    Needed { path: "/usr/bin/ip", package: "iproute2" },
    Needed { path: "/usr/sbin/nft", package: "nftables" },
    Needed { path: "/usr/bin/nsenter", package: "util-linux" },
];

/// What counts instructions.
const VALGRIND: Needed = Needed { path: "/usr/bin/valgrind", package: "valgrind" };

/// What the benchmarks use beside Go and Node.js; pgbench comes with the server.
const BENCHMARKS: &[Needed] = &[
    Needed { path: "/usr/lib/postgresql", package: "postgresql" },
    VALGRIND,
    Needed { path: "/usr/bin/setpriv", package: "util-linux" },
];

/// Installs what the tests need and is absent, without starting any service of the packages.
pub(crate) fn ensure() -> Result<()> {
    install(NEEDED)
}

/// The same for tests that lose packets.
pub(crate) fn ensure_for_networks() -> Result<()> {
    install(NETWORKS)
}

/// The same for the count of instructions.
pub(crate) fn ensure_for_instructions() -> Result<()> {
    install(&[VALGRIND])
}

/// The same for the benchmarks.
pub(crate) fn ensure_for_benchmarks() -> Result<()> {
    install(BENCHMARKS)
}

/// What flame graphs need beside inferno.
const FLAME_GRAPHS: &[Needed] = &[Needed { path: "/usr/bin/perf", package: "linux-perf" }];

/// The same for flame graphs.
pub(crate) fn ensure_for_flame_graphs() -> Result<()> {
    install(FLAME_GRAPHS)
}

/// A program from the registry of crates in one version, built once into the cache; the folder that holds it.
pub(crate) fn cargo_install(package: &str, version: &str, program: &str) -> Result<PathBuf> {
    let root = images::cache_dir().join("tools");
    let programs = root.join("bin");
    // What cargo installed there, a line each.
    let installed = std::fs::read_to_string(root.join(".crates.toml")).unwrap_or_default();
    if !programs.join(program).exists() || !installed.contains(&format!("\"{package} {version} (")) {
        println!("building {package} {version} (once, a minute or two)");
        let place = root.display().to_string();
        let version = format!("={version}");
        let mut build =
            shell::cargo(&["install", package, "--version", &version, "--locked", "--debug", "--root", &place]);
        // Outside the workspace: its target and flags are not the tool's.
        build.current_dir(std::env::temp_dir());
        shell::run(build)?;
    }
    Ok(programs)
}

/// What comes with no toolchain of Rust and is asked for before anything else. A C compiler is another such thing, but without one cargo could not have
/// linked this program, and has said so.
const FIRST: &[Needed] = &[Needed { path: "/usr/bin/git", package: "git" }];

/// The same for what lists the files of the repository.
pub(crate) fn ensure_for_lists() -> Result<()> {
    install(FIRST)
}

/// What fuzzing needs beside the pinned toolchain.
const FUZZING: &[Needed] = &[Needed { path: "/usr/bin/g++", package: "g++" }];

/// The same for fuzzing.
pub(crate) fn ensure_for_fuzzing() -> Result<()> {
    install(FUZZING)
}

fn install(needed: &[Needed]) -> Result<()> {
    let absent: Vec<&str> =
        needed.iter().filter(|needed| !Path::new(needed.path).exists()).map(|needed| needed.package).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", absent.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("{} must be installed first; on Debian: {by_hand}", absent.join(", "));
    }
    println!("installing {} from Debian", absent.join(", "));
    let quiet = |args: &[&str]| {
        let mut command = shell::command("apt-get", args);
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdout(Stdio::null());
        shell::run(command)
    };
    // Servers of freshly installed packages would take the ports that tests start their own on.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let guard = !policy.exists();
    if guard {
        write_executable(policy, "#!/bin/sh\nexit 101\n")?;
    }
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(&absent);
    let installed = quiet(&["update"]).and_then(|()| quiet(&args));
    if guard {
        std::fs::remove_file(policy)?;
    }
    installed.map_err(|error| error.context(format!("install them by hand as root: {by_hand}")))
}

/// Installs the npm packages of a folder as its lock file says, unless that was done since the file was written.
pub(crate) fn npm_ci(folder: &str) -> Result<()> {
    let folder = paths::root().join(folder);
    let written = |file: &str| folder.join(file).metadata().and_then(|metadata| metadata.modified()).ok();
    if written("node_modules/.package-lock.json").is_some_and(|done| Some(done) >= written("package-lock.json")) {
        return Ok(());
    }
    let mut install = shell::command("npm", &["ci", "--silent", "--no-audit", "--no-fund"]);
    install.current_dir(&folder);
    shell::run(install).context("Node.js 20 or newer with npm is needed; on Debian: apt-get install nodejs npm")
}

/// Gets the clients that `gateway/tests/centrifuge_sdks.rs` runs, as their lock files say.
pub(crate) fn ensure_sdks() -> Result<()> {
    npm_ci("gateway/tests/sdks/js")?;
    let mut download = shell::command("go", &["mod", "download"]);
    download.current_dir(paths::root().join("gateway/tests/sdks/go"));
    shell::run(download).context("Go 1.24 or newer is needed; get it from https://go.dev/dl and put `go` in PATH")
}

fn write_executable(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
