//! Slots as arguments and statuses name them.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// Slots, such as `5` or `0-31,40`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotList(Vec<RangeInclusive<i32>>);

/// A list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotListError {
    part: String,
}

impl fmt::Display for SlotListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no slot and no range of slots; write numbers as in 5, or 0-31,40", self.part)
    }
}

impl std::error::Error for SlotListError {}

impl SlotList {
    /// The slots, in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Slots in their order; neighbours become a range.
impl FromIterator<i32> for SlotList {
    fn from_iter<I: IntoIterator<Item = i32>>(slots: I) -> Self {
        let mut ranges: Vec<RangeInclusive<i32>> = Vec::new();
        for slot in slots {
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(slot) => *last = *last.start()..=slot,
                _ => ranges.push(slot..=slot),
            }
        }
        Self(ranges)
    }
}

impl fmt::Display for SlotList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, range) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
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

    #[test]
    fn writes_what_it_reads() {
        let list: SlotList = [0, 1, 2, 5, 7, 8].into_iter().collect();
        assert_eq!(list.to_string(), "0-2,5,7-8");
        assert_eq!(list.to_string().parse::<SlotList>().unwrap(), list);
        assert_eq!(list.len(), 6);
        assert_eq!(SlotList::default().to_string(), "");
    }
}
