//! What the comments of a `values.yaml` say of its values.

use std::collections::BTreeMap;

/// How a line begins that is an example of the value above it, and no comment on the one below.
const EXAMPLE: &str = "#  ";

/// The comment right above each key, by the key's path with dots. An empty line between the two parts them.
pub(super) fn of(values: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut above: Vec<&str> = Vec::new();
    // Where the line is: keys that contain it, each with its indentation.
    let mut within: Vec<(usize, &str)> = Vec::new();
    for line in values.lines() {
        let text = line.trim();
        if text.starts_with(EXAMPLE) {
            continue;
        }
        if let Some(comment) = text.strip_prefix('#') {
            above.push(comment.trim());
            continue;
        }
        let said = std::mem::take(&mut above).join(" ");
        let Some((key, _)) = text.split_once(':') else { continue };
        let depth = line.len() - line.trim_start().len();
        within.retain(|(outer, _)| *outer < depth);
        within.push((depth, key));
        if !said.is_empty() {
            let path: Vec<&str> = within.iter().map(|(_, key)| *key).collect();
            found.insert(path.join("."), said);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_belongs_to_the_key_right_below() {
        let values = "# Of nobody.\n\na: 1\n# Of b,\n# all of it.\nb:\n  c: 2\n  # Of d.\n  d: {}\n  #  example: x\n\n# Of e.\ne: []\n";
        let found: Vec<(String, String)> = of(values).into_iter().collect();
        let expected = [("b", "Of b, all of it."), ("b.d", "Of d."), ("e", "Of e.")];
        assert_eq!(found, expected.map(|(path, said)| (path.to_owned(), said.to_owned())));
    }
}
