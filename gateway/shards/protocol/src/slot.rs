//! From an id to its slot. The hash is fixed for ever: it decides where stored rows are looked for.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// The slot of a room or user: xxh3-64 (seed 0) of the 16 bytes of the id, modulo `slots`.
///
/// `slots` is the cluster's number of slots, 1 to 65536; 0 is treated as 1, so that no input can panic.
#[must_use]
pub fn slot_of(id: Uuid, slots: u32) -> i32 {
    let slot = xxh3_64(id.as_bytes()) % u64::from(slots.max(1));
    i32::try_from(slot).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden vectors, made with another implementation of the hash: a change here means that every stored row is looked for in the wrong place.
    #[test]
    fn keeps_its_golden_vectors() {
        let vectors = [
            (0u128, 1024, 360),
            (1, 1024, 955),
            (u128::MAX, 1024, 787),
            (0x0192_9d3c_7f00_7000_8000_0000_0000_002a, 1024, 888),
            (0x0192_9d3c_7f00_7000_8000_0000_0000_002a, 4096, 3960),
            (0x0192_9d3c_7f00_7000_8000_0000_0000_002a, 65_536, 44920),
            (0x0192_9d3c_7f00_7000_8000_0000_0000_002a, 1, 0),
        ];
        for (id, slots, slot) in vectors {
            assert_eq!(slot_of(Uuid::from_u128(id), slots), slot, "{id:#x} mod {slots}");
        }
    }

    #[test]
    fn spreads_evenly() {
        let mut counts = [0u32; 16];
        for n in 0..16_000u128 {
            counts[slot_of(Uuid::from_u128(n << 64 | 7), 16) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (800..1200).contains(&c)), "{counts:?}");
    }
}
