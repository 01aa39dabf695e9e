//! Slots as an argument names them.

use std::{ops::RangeInclusive, str::FromStr};

/// Slots, such as `5` or `0-31,40`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotList(Vec<RangeInclusive<i32>>);

/// A list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} is no slot and no range of slots; write numbers as in 5, or 0-31,40")]
pub struct SlotListError {
    part: String,
}

impl SlotList {
    /// The slots, in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().cloned().flatten()
    }
}

impl FromStr for SlotList {
    type Err = SlotListError;

    fn from_str(text: &str) -> Result<Self, SlotListError> {
        let ranges: Result<Vec<_>, _> = text.split(',').map(|part| range(part.trim())).collect();
        ranges.map(Self)
    }
}

fn range(part: &str) -> Result<RangeInclusive<i32>, SlotListError> {
    let number = |text: &str| text.parse::<u16>().ok().map(i32::from);
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(SlotListError { part: part.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_ranges() {
        let list: SlotList = "5, 0-2".parse().unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [5, 0, 1, 2]);
        for wrong in ["", "a", "3-1", "-1", "1-", "70000"] {
            assert!(wrong.parse::<SlotList>().is_err(), "{wrong}");
        }
    }
}
