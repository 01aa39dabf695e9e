//! As much of RFC 6455 as a client on loopback needs. Written here because it must cost less than any server: no copy of what is read, no
//! state per connection. Frames are masked, as servers demand, with the key 0: there is no proxy to protect.

use anyhow::{Result, bail};

/// Opcodes.
pub(crate) const TEXT: u8 = 1;
/// The peer closes.
pub(crate) const CLOSE: u8 = 8;
/// To be answered with a pong.
pub(crate) const PING: u8 = 9;
/// Answers a ping.
pub(crate) const PONG: u8 = 10;

/// No server here sends a larger frame; more is an error and not a reason to take memory.
const LARGEST: usize = 4 * 1024 * 1024;

/// Appends a client's frame.
pub(crate) fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
}

/// A frame that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// What it is.
    pub(crate) opcode: u8,
    /// What it carries.
    pub(crate) payload: &'a [u8],
    /// Bytes of the whole frame.
    pub(crate) length: usize,
}

/// The first frame of these bytes; `None` while it is incomplete.
///
/// # Errors
/// Fragments and compressed frames, which no server here sends, and frames over 4 MiB.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Frame<'_>>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        bail!("an unexpected frame: {first:02x} {second:02x}");
    }
    let (length, header) = match (second, rest) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]).try_into().unwrap_or(usize::MAX), 10)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (usize::from(*short), 2),
    };
    if length > LARGEST {
        bail!("a frame of {length} bytes");
    }
    let end = header + length;
    Ok(bytes.get(header..end).map(|payload| Frame { opcode: first & 0x0f, payload, length: end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's frame is a client's without the mask.
    fn served(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, TEXT, payload);
        let header = bytes.len() - payload.len() - 4;
        bytes.drain(header..header + 4);
        bytes[1] &= 0x7f;
        bytes
    }

    #[test]
    fn reads_frames_of_all_lengths_once_they_are_complete() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let bytes = served(&payload);
            for cut in [0, 1, 2, 3, bytes.len() - 1] {
                if cut < bytes.len() {
                    assert_eq!(read(&bytes[..cut]).unwrap(), None);
                }
            }
            let frame = read(&bytes).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload, frame.length), (TEXT, &*payload, bytes.len()));
        }
    }

    #[test]
    fn refuses_fragments_and_giants() {
        assert!(read(&[0x01, 0x00]).is_err());
        assert!(read(&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]).is_err());
    }
}
