//! Counts what the test runners report, for the closing line.

/// Sum over all `test result:` lines of cargo's test runner and the counts of node's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// Prints what a test runner has printed, and takes its lines in.
    pub(crate) fn pass_on(&mut self, printed: &str) {
        for line in printed.lines() {
            println!("{line}");
            self.line(line);
        }
    }

    /// Takes one line in; lines that tell no count change nothing.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(rest) = line.trim_start().strip_prefix("test result:") {
            self.passed += before(rest, " passed");
            self.failed += before(rest, " failed");
        } else if let Some(count) = line.strip_prefix("# pass ") {
            self.passed += count.trim().parse::<u64>().unwrap_or(0);
        } else if let Some(count) = line.strip_prefix("# fail ") {
            self.failed += count.trim().parse::<u64>().unwrap_or(0);
        }
    }
}

/// The number that stands right before `word`.
fn before(text: &str, word: &str) -> u64 {
    let Some(at) = text.find(word) else { return 0 };
    let digits = text[..at].rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_runners_closing_lines() {
        let mut counts = Counts::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.17s",
            "test result: FAILED. 9 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.26s",
            "# pass 6",
            "# fail 0",
            "test a ... ok",
        ] {
            counts.line(line);
        }
        assert_eq!(counts, Counts { passed: 27, failed: 1 });
    }
}
