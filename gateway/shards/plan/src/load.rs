//! What a slot costs its shard.

/// The load of all slots together, if each of them has the same measure: fine enough for shares of a millionth.
const WHOLE: u128 = 1 << 40;
/// Shares of the whole that slots have for being there: a cluster that is still empty is spread evenly, too.
const STANDING: u128 = 20;

/// What was measured of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Bytes on disk.
    pub bytes: u64,
    /// Writes in a second, in thousandths, averaged over some ten minutes.
    pub milli_writes: u64,
}

/// The loads of slots: the larger one of a slot's share of all bytes and of all writes, and a little for being there.
#[must_use]
pub fn loads(measures: &[Measure]) -> Vec<u64> {
    let sum = |of: fn(&Measure) -> u64| measures.iter().map(|measure| u128::from(of(measure))).sum::<u128>();
    let (bytes, writes) = (sum(|measure| measure.bytes), sum(|measure| measure.milli_writes));
    let share = |part: u64, whole: u128| (u128::from(part) * WHOLE).checked_div(whole).unwrap_or(0);
    let standing = WHOLE / STANDING / (measures.len() as u128).max(1);
    let load = |measure: &Measure| share(measure.bytes, bytes).max(share(measure.milli_writes, writes)) + standing;
    measures.iter().map(|measure| u64::try_from(load(measure)).unwrap_or(u64::MAX)).collect()
}
