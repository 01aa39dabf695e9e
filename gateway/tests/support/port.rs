//! Ports for servers that tests start.

use std::net::TcpListener;

/// Ports below those that the system gives to outgoing connections (from 32,768 on): none of these can take one between here and its use.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A port that was free a moment ago. Test programs that run side by side look at random places, so that they seldom meet.
pub fn free_port() -> u16 {
    std::iter::repeat_with(|| rand::random_range(PORTS))
        .take(1_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port from 15,000 to 32,000")
}
