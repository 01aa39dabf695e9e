//! Counts what the test runners report, and keeps what failed tests said, for the closing lines.

/// Sum over all `test result:` lines of cargo's test runner and the counts of node's.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    failures: Vec<Failure>,
    reading: Reading,
}

/// A test that failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Failure {
    name: String,
    /// What it printed last, where the runner kept that for the end.
    said: Vec<String>,
}

impl Failure {
    fn of(name: &str) -> Self {
        Self { name: name.to_owned(), said: Vec::new() }
    }
}

/// What the next line of cargo's test runner belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Anything,
    /// What the last of the failures printed.
    Said,
    /// The list of names that follows all that.
    Names,
}

/// Lines of a failed test that the closing lines repeat: a panic's place, what it said, and what an error was caused by.
const SAID: usize = 8;

/// Failed tests whose lines are repeated; of more, the names tell enough.
const SAYING: usize = 4;

impl Counts {
    /// Prints what a test runner has printed, and takes its lines in.
    pub(crate) fn pass_on(&mut self, printed: &str) {
        for line in printed.lines() {
            println!("{line}");
            self.line(line);
        }
    }

    /// How many tests ran.
    pub(crate) fn ran(&self) -> u64 {
        self.passed + self.failed
    }

    /// The failed tests, each with what it said last: whoever sees only the end of a long run sees why it is red.
    pub(crate) fn failures(&self) -> impl Iterator<Item = String> {
        self.failures.iter().enumerate().flat_map(|(at, Failure { name, said })| {
            let said = if at < SAYING { said.as_slice() } else { &[] };
            std::iter::once(format!("failed: {name}")).chain(said.iter().map(|line| format!("    {line}")))
        })
    }

    /// Takes one line in; lines that tell neither a count nor a failure change nothing.
    pub(crate) fn line(&mut self, line: &str) {
        self.failure(line);
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

impl Counts {
    fn failure(&mut self, line: &str) {
        let section = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = section {
            self.failures.push(Failure::of(name));
            self.reading = Reading::Said;
        } else if line == "failures:" {
            self.reading = Reading::Names;
        } else if line.starts_with("test result:") {
            self.reading = Reading::Anything;
        } else if let Some((_, name)) = line.strip_prefix("not ok ").and_then(|rest| rest.split_once(" - ")) {
            self.failures.push(Failure::of(name));
        } else {
            self.within(line);
        }
    }

    /// Takes in a line whose meaning the lines before it tell.
    fn within(&mut self, line: &str) {
        match self.reading {
            // Frames tell nothing without the sources beside.
            Reading::Said if line == "stack backtrace:" => self.reading = Reading::Anything,
            Reading::Said if !line.trim().is_empty() => {
                let Some(Failure { said, .. }) = self.failures.last_mut() else { return };
                if said.len() == SAID {
                    said.remove(0);
                }
                said.push(line.to_owned());
            }
            Reading::Names => {
                let Some(name) = line.strip_prefix("    ") else { return };
                // Tests whose output went straight to the terminal have no section of their own.
                if !self.failures.iter().any(|known| known.name == name) {
                    self.failures.push(Failure::of(name));
                }
            }
            Reading::Said | Reading::Anything => {}
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
        assert_eq!((counts.passed, counts.failed), (27, 1));
    }

    #[test]
    fn failed_tests_are_told_of_with_what_they_said_last() {
        let mut counts = Counts::default();
        let sections = "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n1\n2\n3\n4\n5\n6\n7\n8\n\nError: late\nstack backtrace:\n   0: panic\n\n";
        let names =
            "\nfailures:\n    a::b\n    straight\n\ntest result: FAILED. 0 passed; 2 failed; 0 ignored\n    after\n";
        counts.pass_on(&format!("{sections}{names}not ok 3 - of node\n"));
        let told: Vec<String> = counts.failures().collect();
        let said = ["2", "3", "4", "5", "6", "7", "8", "Error: late"].map(|line| format!("    {line}"));
        let expected: Vec<String> = std::iter::once("failed: a::b".to_owned())
            .chain(said)
            .chain(["failed: straight".to_owned(), "failed: of node".to_owned()])
            .collect();
        assert_eq!(told, expected);
    }
}
