//! Bounds of every store, so that no request makes an answer of unbounded size.

/// Members of one room.
pub const MAX_MEMBERS: usize = 10_000;
/// Messages of one history page or replay.
pub const MAX_PAGE: u32 = 1_000;
/// Rooms of one user's room list, the newest ones.
pub const MAX_USER_ROOMS: usize = 10_000;
/// How long a claimed outbox row is left alone.
pub const CLAIM_HOLD: std::time::Duration = std::time::Duration::from_secs(10);
/// Reactions of one member to one message.
pub const MAX_REACTIONS: usize = 20;
/// Entries of a room among which its list looks for what is unread and what is newest.
pub const UNREAD_WINDOW: u32 = 1_000;
/// Characters of the newest message that a room list shows.
pub const PREVIEW_CHARS: usize = 200;
