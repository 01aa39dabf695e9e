//! Numbers as people write and read them.

/// Letters behind a number, and what they multiply it by; two letters are powers of 1,024, as in Kubernetes' quantities.
const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// A whole number, such as `5M`, `1.5M`, `200k` or `1Ki`.
///
/// # Errors
/// It is none; the sentence says how one is written.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let (digits, times) = UNITS
        .iter()
        .find_map(|(unit, times)| text.strip_suffix(unit).map(|digits| (digits, *times)))
        .unwrap_or((text, 1));
    let way_out = || {
        format!("{text:?} is no number; write digits, and k, M, G, Ki, Mi or Gi behind them, such as 200k, 1.5M or 1Ki")
    };
    if digits.is_empty() || !digits.chars().all(|one| one.is_ascii_digit() || one == '.') {
        return Err(way_out());
    }
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(times).ok_or_else(|| format!("{text:?} is too large; the largest is 1T"));
    }
    let value = digits.parse::<f64>().map_err(|_| way_out())? * times as f64;
    if value.fract() != 0.0 {
        return Err(format!("{text:?} is no whole number; write one, such as 1.5M"));
    }
    if value > 1e12 {
        return Err(format!("{text:?} is too large; the largest is 1T"));
    }
    Ok(value as u64)
}

/// A number with three digits, and the letter of its size.
pub(crate) fn short(value: f64) -> String {
    let (mut value, mut letters) = (value, ["", "k", "M", "G", "T"].iter());
    let mut letter = letters.next().copied().unwrap_or_default();
    while value >= 999.5 {
        let Some(larger) = letters.next() else { break };
        (value, letter) = (value / 1_000.0, larger);
    }
    let digits = match value {
        value if value < 9.995 && value.fract() != 0.0 => 2,
        value if value < 99.95 && value.fract() != 0.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_multiply() {
        assert_eq!(number("5M"), Ok(5_000_000));
        assert_eq!(number("1.5M"), Ok(1_500_000));
        assert_eq!(number("200k"), Ok(200_000));
        assert_eq!(number("1Ki"), Ok(1_024));
        assert_eq!(number("17"), Ok(17));
        for wrong in ["", "M", "5Mb", "-1", "1e6", "1.5", "1.2.3", "99999999999999999999", "999999999999T"] {
            let error = number(wrong).unwrap_err();
            assert!(error.contains(wrong) && error.contains("1"), "{error}");
        }
    }

    #[test]
    fn three_digits_are_enough() {
        let all: Vec<String> =
            [0.0, 7.0, 0.123, 1_000.0, 1_234_567.0, 12_345.0, 999_600.0, 5_000_000.0].into_iter().map(short).collect();
        assert_eq!(all, ["0", "7", "0.12", "1k", "1.23M", "12.3k", "1M", "5M"]);
    }
}
