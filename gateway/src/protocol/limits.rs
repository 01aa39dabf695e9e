//! Limits of the protocol that no configuration changes, each with its reason.

use std::time::Duration;

use jiff::Timestamp;

/// Bytes of one frame. A body of 48 KiB (the greatest `messageBytes`) fits with its JSON around it when few characters are escaped.
pub const FRAME_BYTES: usize = 64 * 1024;

/// Bytes that wait in one connection's queue before it counts as too slow: about ten seconds of a busy room, and at 20,000
/// connections still less than the machine has.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// Bytes from which ephemeral events are shed: what must arrive keeps the other half for itself.
pub const QUEUE_EPHEMERAL_BYTES: usize = QUEUE_BYTES / 2;

/// Pings and pongs of one connection within a second beyond which it is flooding. A good client answers one ping in many seconds; each frame
/// here is one that the client wants worked on and that no other limit counts.
pub const CONTROL_FRAMES: u32 = 100;

/// Ping periods without any frame of the client after which it counts as gone.
pub const SILENT_PERIODS: u32 = 2;

/// Frames in a row that are no JSON before the connection closes: one is a slip, three are another protocol.
pub const BAD_FRAMES: u32 = 3;

/// Distance in a room over which resume leaves the client to `history`.
pub const RESUME_DISTANCE: i64 = 1_000;

/// Entries of `hello.resume`: more rooms than this fit in no connection.
pub const RESUME_ROOMS: usize = 1_000;

/// Messages of a `history` page when the client does not say.
pub const HISTORY_DEFAULT: u32 = 50;

/// Messages of a `history` page at most.
pub const HISTORY_MAX: u32 = 100;

/// Users in one `presence` request.
pub const PRESENCE_USERS: usize = 200;

/// Characters of a room's title.
pub const TITLE_CHARS: usize = 128;

/// Other members named in one `create_room`.
pub const ROOM_MEMBERS: usize = 1_000;

/// Largest number of a request: the integers that JavaScript represents exactly.
pub const REQUEST_ID_MAX: u64 = 1 << 53;

/// Life of a typing notice that is not renewed.
pub const TYPING_LAPSE: Duration = Duration::from_secs(6);

/// Marks and typing notices of one connection within a second, in the long run. A mark is a small write: a client that confirms several times a
/// second in dozens of rooms at once is below this, and what it leaves out the next mark says.
pub const HINTS_PER_SECOND: u32 = 100;

/// Marks and typing notices that one connection may send at once: one of each room that it follows, after a reconnect, and more.
pub const HINT_BURST: u32 = 1_000;

/// Times the message rate at which sending is flooding.
pub const FLOOD_FACTOR: u32 = 10;

/// Rooms of a `rooms` page: at most some 1,200 bytes each, so that an answer stays far below half of the queue.
pub const ROOMS_MAX: u32 = 200;

/// Members of a `members` page when the client does not say.
pub const MEMBERS_DEFAULT: u32 = 200;

/// Members of a `members` page at most.
pub const MEMBERS_MAX: u32 = 1_000;

/// Members whom one message addresses.
pub const MENTIONS: usize = 50;

/// Bytes of a reaction: the longest emoji of Unicode 16 has 35, a short name seldom more.
pub const EMOJI_BYTES: usize = 64;

/// Until when a room is muted that is muted for ever: the first second of the year 9999.
pub const FOR_EVER: Timestamp = Timestamp::constant(253_370_764_800, 0);
