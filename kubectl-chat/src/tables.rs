//! Columns and numbers as people read them.

use jiff::Timestamp;

/// Rows under a head, in columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(lines).map(|line| line + "\n").collect()
}

/// Bytes in the largest unit that leaves a number of at least 1.
pub(crate) fn bytes(bytes: i64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1_024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1_024.0;
    }
    format!("{amount:.1} TiB")
}

/// A time in its two largest units, of days, hours, minutes and seconds.
pub(crate) fn duration(seconds: i64) -> String {
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest:02} s"),
        (0 | 1, _, _) => format!("{hours} h {minutes:02} min"),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// The time from `then` to `now`; none where the clocks disagree.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> String {
    duration(now.duration_since(then).as_secs().max(0))
}

/// A bar of `width` characters, filled as far as `done` of `all`.
pub(crate) fn bar(done: i64, all: i64, width: usize) -> String {
    let share = if all <= 0 { 0.0 } else { (done as f64 / all as f64).clamp(0.0, 1.0) };
    let full = (share * width as f64).floor() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(width - full))
}

/// A number, or a dash where it is not known.
pub(crate) fn known(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME     N\na        1\nlonger   22\n");
    }

    #[test]
    fn numbers_are_as_people_write_them() {
        assert_eq!((bytes(1_023), bytes(1_536), bytes(5 << 40)), ("1023 B".into(), "1.5 KiB".into(), "5.0 TiB".into()));
        assert_eq!(
            (duration(59), duration(61), duration(7_260)),
            ("59 s".into(), "1 min 01 s".into(), "2 h 01 min".into())
        );
        assert_eq!((duration(47 * 3_600), duration(50 * 3_600)), ("47 h 00 min".into(), "2 d 2 h".into()));
        assert_eq!((bar(1, 4, 8), bar(0, 0, 2), bar(9, 4, 2)), ("[##......]".into(), "[..]".into(), "[##]".into()));
    }
}
