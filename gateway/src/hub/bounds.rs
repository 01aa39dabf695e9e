//! How many messages are held or asked for at once, so that long texts take no more memory than short ones.

/// Bytes of the messages that one room holds ahead of a gap.
const AHEAD_BYTES: u32 = 1024 * 1024;

/// Bytes of the messages that one fill brings.
const FILL_BYTES: u32 = 1024 * 1024;

/// Bytes of the events that one sweep of an outbox brings: the rooms spread them over the lanes.
const SWEEP_BYTES: u32 = 4 * 1024 * 1024;

/// The numbers for a gateway, by the longest text that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Messages of one room that wait ahead of a gap or for a queue to drain; more are dropped and come from the store.
    pub(crate) ahead: usize,
    /// Messages fetched by one fill.
    pub(crate) fill: u32,
    /// Rows of an outbox claimed at once: at most half as many as a lane holds, so that live events find room beside them.
    pub(crate) sweep: u32,
}

impl Bounds {
    /// For texts of at most this many bytes. Never so few that each message would cost a question of its own.
    pub(crate) fn of(message_bytes: u32) -> Self {
        let fits = |bytes: u32, most: u32| (bytes / message_bytes.max(1)).clamp(16, most);
        Self { ahead: fits(AHEAD_BYTES, 256) as usize, fill: fits(FILL_BYTES, 200), sweep: fits(SWEEP_BYTES, 500) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_make_them_few_and_short_ones_no_more_than_many() {
        assert_eq!(Bounds::of(49_152), Bounds { ahead: 21, fill: 21, sweep: 85 });
        assert_eq!(Bounds::of(16_384), Bounds { ahead: 64, fill: 64, sweep: 256 });
        assert_eq!(Bounds::of(1), Bounds { ahead: 256, fill: 200, sweep: 500 });
        assert_eq!(Bounds::of(u32::MAX), Bounds { ahead: 16, fill: 16, sweep: 16 });
    }
}
