//! Which form of a test is wanted.

use std::env;

/// Whether tests are to run in their long forms: `CHATCLUSTER_LONG` is `1`. Any other value, as `0`, asks for the short ones.
#[must_use]
pub fn is_long() -> bool {
    env::var("CHATCLUSTER_LONG").is_ok_and(|value| value == "1")
}
