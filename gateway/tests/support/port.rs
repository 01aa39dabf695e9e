//! Ports for servers that tests start.

use std::{fs::File, net::TcpListener, sync::Mutex};

/// Ports below those that the system gives to outgoing connections (from 32,768 on): none of these can take one between here and its use.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Locks on the files of the ports that this program was given, until it ends.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port that was free a moment ago and that no other test program is given while this one runs.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("chatcluster-test-ports");
    std::fs::create_dir_all(&folder).expect("a folder for the locks of ports");
    std::iter::repeat_with(|| rand::random_range(PORTS))
        .take(1_000)
        .find(|port| {
            let lock = File::create(folder.join(port.to_string())).expect("a file for the lock of a port");
            if lock.try_lock().is_err() || TcpListener::bind(("127.0.0.1", *port)).is_err() {
                return false;
            }
            HELD.lock().expect("the list of locks").push(lock);
            true
        })
        .expect("a free port from 15,000 to 32,000")
}
