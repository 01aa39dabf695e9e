//! Who the delivery probe is: the user as whom the operator chats through a cluster's front door, and what gateways do differently for it.

/// Sign-in name of the probe. No person can take it, since a name begins with a letter or digit.
pub const NAME: &str = "_probe";

/// Id of the probe, derived from [`NAME`] as that of any user who signs in with a password.
pub const USER: &str = "7f5ea552-cc52-877f-97f8-c360dc17fd49";

/// Header of an upgrade request that says that the probe comes. Such a connection is none of the gateway's connections: neither counted, nor
/// turned away when all places are taken. Whoever else says so is closed after `hello`.
pub const HEADER: &str = "x-chatcluster-probe";

/// Rooms among which the probe goes round, so that it comes through as many slots. Each is a group of its own with [`room_key`].
pub const ROOMS: u8 = 8;

/// Messages that a room of the probe keeps, at least. Older ones are removed when [`TRIM_EVERY`] have come.
pub const KEPT: i64 = 100;

/// Messages of the probe after which its room is trimmed.
pub const TRIM_EVERY: i64 = 30;

/// `room_key` of the probe's room of this number.
#[must_use]
pub fn room_key(nth: u8) -> String {
    format!("00000000-0000-8000-8000-{:012x}", nth % ROOMS)
}
