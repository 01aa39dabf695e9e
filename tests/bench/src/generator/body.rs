//! The text of a message: which one it is and when it was due, so that every delivery can be told apart and timed.

use memchr::memmem;

/// What a body begins with; nothing else that servers send contains it.
const MARK: &[u8] = b"~b";
/// Hexadecimal digits: room, number in the room, due time in nanoseconds.
const DIGITS: [usize; 3] = [6, 8, 14];
/// Bytes of every body.
pub(crate) const BYTES: usize = 128;

/// What a body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// The room.
    pub(crate) room: u32,
    /// Number in the room.
    pub(crate) message: u32,
    /// When it was due, nanoseconds since the run began.
    pub(crate) due: u64,
}

impl Body {
    /// The text.
    pub(crate) fn text(self) -> String {
        let Self { room, message, due } = self;
        let text = format!("~b{room:06x}{message:08x}{due:014x}");
        format!("{text:x<BYTES$}")
    }
}

/// Finds the first body in a frame.
pub(crate) fn find(frame: &[u8]) -> Option<Body> {
    let mut rest = &frame[memmem::find(frame, MARK)? + MARK.len()..];
    let mut next = |digits: usize| {
        let (number, behind) = rest.split_at_checked(digits)?;
        rest = behind;
        u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()
    };
    let (room, message, due) = (next(DIGITS[0])?, next(DIGITS[1])?, next(DIGITS[2])?);
    Some(Body { room: u32::try_from(room).ok()?, message: u32::try_from(message).ok()?, due })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_found_again_in_a_frame() {
        let body = Body { room: 999, message: 70_000, due: 12_345_678_901_234 };
        assert_eq!(body.text().len(), BYTES);
        assert_eq!(find(format!("{{\"x\":\"{}\"}}", body.text()).as_bytes()), Some(body));
        assert_eq!(find(b"{\"x\":\"~b12\"}"), None);
    }
}
