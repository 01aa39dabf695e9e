//! Slots of a Redis Cluster.

/// How many there are.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a hash tag: its CRC-16 in the form that is called XMODEM (Redis Cluster specification, appendix A).
pub(super) fn slot(tag: &str) -> u16 {
    let mut crc = 0_u16;
    for byte in tag.bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31C3);
        // What `CLUSTER KEYSLOT` answers.
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot(""), 0);
    }
}
