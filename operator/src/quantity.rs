//! Kubernetes quantities: enough to compare two spellings and to read bytes.

/// The quantity in thousandths, or `None` when the text is none. Exact for everything that Kubernetes itself writes.
fn milli(text: &str) -> Option<i128> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let multiplier: i128 = match suffix {
        "" => 1000,
        "m" => 1,
        "k" => 1_000 * 1000,
        "M" => 1_000_000 * 1000,
        "G" => 1_000_000_000 * 1000,
        "T" => 1_000_000_000_000 * 1000,
        "P" => 1_000_000_000_000_000 * 1000,
        "Ki" => (1 << 10) * 1000,
        "Mi" => (1 << 20) * 1000,
        "Gi" => (1 << 30) * 1000,
        "Ti" => (1 << 40) * 1000,
        "Pi" => (1 << 50) * 1000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let sign = if number.starts_with('-') { -1 } else { 1 };
    whole.checked_mul(scale)?.checked_add(sign * fraction)?.checked_mul(multiplier)?.checked_div(scale)
}

/// Whether two texts are the same quantity.
#[must_use]
pub fn equal(left: &str, right: &str) -> bool {
    matches!((milli(left), milli(right)), (Some(left), Some(right)) if left == right)
}

/// The quantity in whole bytes, rounded down.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    u64::try_from(milli(text)? / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_spellings() {
        assert!(equal("0.5", "500m") && equal("1000m", "1") && equal("1024Mi", "1Gi") && equal("1k", "1000"));
        assert!(!equal("1", "2") && !equal("a", "a") && !equal("", "") && !equal("1.2.3", "1"));
    }

    #[test]
    fn reads_bytes() {
        assert_eq!(bytes("512Mi"), Some(512 << 20));
        assert_eq!(bytes("1.5Gi"), Some(3 << 29));
        assert_eq!(bytes("-1"), None);
    }
}
