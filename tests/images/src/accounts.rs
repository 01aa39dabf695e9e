//! The one unprivileged account that every image runs as.

use crate::layer::{Layer, Owner};

/// User and group id of every process in our images.
pub const APP_ID: u32 = 65532;

/// The account as an owner of files.
pub const APP: Owner = Owner { uid: APP_ID, gid: APP_ID };

/// `USER` of an image's configuration.
#[must_use]
pub fn user() -> String {
    format!("{APP_ID}:{APP_ID}")
}

/// Adds `/etc/passwd`, `/etc/group`, name lookup and a `/tmp` that anyone may write to.
/// PostgreSQL's initdb refuses a user id without a name, so the account has one.
pub fn add_to(layer: &mut Layer) {
    let passwd = format!("root:x:0:0:root:/root:/sbin/nologin\napp:x:{APP_ID}:{APP_ID}:app:/tmp:/sbin/nologin\n");
    let group = format!("root:x:0:\napp:x:{APP_ID}:\n");
    layer.file("etc/passwd", 0o644, passwd.into_bytes());
    layer.file("etc/group", 0o644, group.into_bytes());
    layer.file("etc/nsswitch.conf", 0o644, b"passwd: files\ngroup: files\nhosts: files dns\n".to_vec());
    layer.directory("tmp", 0o1777, Owner::ROOT);
}
