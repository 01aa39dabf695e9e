//! The cluster's own view of the machine: a network of its own, and private folders in the place of `/run`, `/var/lib`
//! and `/var/log`.
//!
//! With private folders every component keeps its usual paths, two clusters never meet, and every mount that the
//! components make ends with their last process, however that ends. One sleeping process holds the view open.

use std::{path::Path, process::Command, thread, time::Duration};

use crate::{
    command::{self, CommandError},
    config::ClusterConfig,
    files::{self, FileError},
    layout::Layout,
    process::{self, Process},
};

/// Run inside the new namespaces: private folders first, then the sign that they are there.
const ENTER: &str = r#"
set -e
mount -t tmpfs -o mode=755 localkube /run
mount --bind "$1" /var/lib
mount --bind "$2" /var/log
: >"$3"
exec "$4"
"#;

/// Run inside the namespaces when nothing else runs there: forgets what does not outlast a machine's memory. Without their mounts and processes the networks of
/// pods are gone, too.
const FORGET: &str = r#"
awk '$2 ~ "^/(run|var/lib)/." { print $2 }' /proc/self/mounts | sort -r | while read -r place; do
    umount -l "$place" 2>/dev/null || true
done
rm -rf /run/*
"#;

/// The new namespaces are there within milliseconds.
const LOOKS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// A step of making the namespaces that failed.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The process that holds the namespaces did not come so far.
    #[error("the cluster's namespaces did not come up: {0}")]
    NotReady(String),
}

/// Makes the namespaces and the process that holds them.
pub(crate) fn create(layout: &Layout, pause: &Path, entrance: &Path) -> Result<Process, NamespaceError> {
    for folder in [layout.var_lib(), layout.logs()] {
        files::make_folder(&folder)?;
    }
    let log = layout.log("namespaces");
    let sign = layout.folder().join("namespaces-ready");
    let mut arguments: Vec<String> =
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", ENTER, "localkube"]
            .map(str::to_owned)
            .to_vec();
    let paths = [layout.var_lib(), layout.logs(), sign.clone(), pause.to_owned()];
    arguments.extend(paths.iter().map(|path| path.to_string_lossy().into_owned()));
    let holder = process::start(&arguments, entrance, &log)?;
    for _ in 0..LOOKS {
        if sign.exists() {
            return Ok(holder);
        }
        if !holder.is_alive() {
            break;
        }
        thread::sleep(PAUSE);
    }
    let said = files::read(&log).unwrap_or_default();
    Err(NamespaceError::NotReady(command::last_lines(&said, 5)))
}

/// The command line that runs something inside the namespaces.
pub(crate) fn inside(holder: &Process, arguments: &[&str]) -> Vec<String> {
    let target = holder.pid().to_string();
    // Not `ip netns exec`: that mounts /sys anew, and kubelet then finds no cgroups.
    let enter = ["nsenter", "--target", &target, "--net", "--mount", "--"];
    enter.iter().chain(arguments).map(|&word| word.to_owned()).collect()
}

/// Like [`inside`], as a command to wait for.
pub(crate) fn command_inside(holder: &Process, entrance: &Path, arguments: &[&str]) -> Command {
    process::member(entrance, &inside(holder, arguments))
}

/// Forgets what is in `/run`, what is mounted, and the networks of pods, as a machine does that is started anew.
pub(crate) fn forget(holder: &Process, entrance: &Path) -> Result<(), CommandError> {
    command::output(&mut command_inside(holder, entrance, &["sh", "-c", FORGET])).map(drop)
}

/// Connects the namespaces to this machine, and this machine to the pods and Services in them. Nothing else is
/// connected: packets to anywhere else end in a cable without a listener, and their sender is told so.
pub(crate) fn connect(config: &ClusterConfig, holder: &Process, entrance: &Path) -> Result<(), NamespaceError> {
    let (device, node, target) = (config.device(), config.node_address().to_string(), holder.pid().to_string());
    let on_cable = |address: std::net::Ipv4Addr| format!("{address}/24");
    let (here, there) = (on_cable(config.host_address()), on_cable(config.node_address()));
    disconnect(config)?;
    ip(&["link", "add", &device, "type", "veth", "peer", "name", "eth0", "netns", &target])?;
    ip(&["address", "add", &here, "dev", &device])?;
    ip(&["link", "set", &device, "up"])?;
    let in_node: [&[&str]; 7] = [
        &["link", "set", "lo", "up"],
        &["address", "add", &there, "dev", "eth0"],
        &["link", "set", "eth0", "up"],
        &["link", "add", "nowhere", "type", "veth", "peer", "name", "nowhere-end"],
        &["link", "set", "nowhere", "up"],
        &["link", "set", "nowhere-end", "up"],
        // Without a default route, connections from the node to a Service fail before they are translated.
        &["route", "add", "default", "dev", "nowhere", "src", &node],
    ];
    for arguments in in_node {
        let line: Vec<&str> = std::iter::once("ip").chain(arguments.iter().copied()).collect();
        command::output(&mut command_inside(holder, entrance, &line))?;
    }
    let forward = ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"];
    command::output(&mut command_inside(holder, entrance, &forward))?;
    for range in [config.pods(), config.services()] {
        ip(&["route", "add", &range, "via", &node, "dev", &device])?;
    }
    Ok(())
}

/// Removes the cable, and with it the routes over it. None there is fine.
pub(crate) fn disconnect(config: &ClusterConfig) -> Result<(), CommandError> {
    let device = config.device();
    if Path::new("/sys/class/net").join(&device).exists()
        && let Err(error) = ip(&["link", "delete", &device])
        // The kernel removes the device by itself when the last process of the namespaces has ended.
        && Path::new("/sys/class/net").join(&device).exists()
    {
        return Err(error);
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<String, CommandError> {
    command::output(Command::new("ip").args(arguments))
}
