//! The anchors that a Markdown page has: one for each heading, as GitHub and mdBook make them.

use std::collections::{BTreeMap, BTreeSet};

/// The anchors of a page, without `#`. A heading that comes again gets `-1`, `-2` and so on.
#[must_use]
pub fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let Some(title) = title(line).filter(|_| !fenced) else { continue };
        let anchor = anchor(title);
        let count: &mut usize = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
        *count += 1;
    }
    anchors
}

/// The text of a line that is a heading: after one to six `#` and a space.
fn title(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let marks = line.len() - text.len();
    text.strip_prefix(' ').filter(|_| (1..=6).contains(&marks))
}

/// Small letters, digits, hyphens and underscores stay; spaces become hyphens, and all else goes.
fn anchor(title: &str) -> String {
    let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_become_anchors_as_on_github() {
        let page = "# What is guaranteed, and what is not\n\n## `kubectl chat`\n\ntext # no heading\n#none\n## Again\n### Again\n";
        let expected = ["again", "again-1", "kubectl-chat", "what-is-guaranteed-and-what-is-not"];
        assert_eq!(anchors(page), expected.map(str::to_owned).into());
    }

    #[test]
    fn what_stands_between_fences_is_no_heading() {
        assert_eq!(anchors("# One\n```sh\n# two\n```\n## Three\n"), ["one", "three"].map(str::to_owned).into());
    }
}
