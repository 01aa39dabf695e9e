//! Runs a shell script inside an image's root as Kubernetes would run a container of it: uid 65532, no new privileges, read-only
//! root with named writable folders, own network, processes and mounts, which all go away with the script.

use std::fs;
use std::process::Command;

use images::BuiltImage;

/// Prepares the mounts and becomes the unprivileged user. `$1` is the root, `$2` the script, the rest are writable folders.
const ENTER: &str = r#"
set -eu
root=$1 script=$2
shift 2
ip link set lo up
mount --bind "$root" "$root"
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
mkdir -m 1777 "$root/dev/shm"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"
for folder in "$@"; do
    mount -t tmpfs -o mode=0777 tmpfs "$root/$folder"
done
exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups=65532 "$root" /bin/sh -euc "$script"
"#;

/// Unpacks the image, runs the script in it with the given environment and returns what it printed.
///
/// # Panics
/// When the script ends with an error, or the test does not run as root.
pub(crate) fn run(image: &BuiltImage, environment: &[&str], writable: &[&str], script: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    images::unpack::unpack(image, root.path()).unwrap();
    fs::create_dir_all(root.path().join("secrets")).unwrap();
    fs::write(root.path().join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(root.path().join("secrets/user"), "chat\n").unwrap();
    fs::write(root.path().join("secrets/password"), "a-secret\n").unwrap();
    let output = Command::new("timeout")
        .args(["--signal=KILL", "480", "unshare", "--net", "--pid", "--mount", "--fork", "--kill-child"])
        .args(["/bin/sh", "-euc", ENTER, "enter"])
        .arg(root.path())
        .arg(script)
        .args(writable)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(environment.iter().filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name != "PATH"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}: the script failed ({}); it needs root, iproute2 and util-linux\n{printed}\n{}",
        image.reference,
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}
