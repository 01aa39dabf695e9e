//! Blocks of code between fences.

const FENCE: &str = "```";

/// The blocks of a language, such as `yaml`, without their fences. A block that names no language is of none.
#[must_use]
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix(FENCE), block.take()) {
            (Some(named), None) => block = Some((named.trim() == language, String::new())),
            (Some(_), Some((wanted, text))) => found.extend(Some(text).filter(|_| wanted)),
            (None, Some((wanted, mut text))) => {
                text += line;
                text.push('\n');
                block = Some((wanted, text));
            }
            (None, None) => {}
        }
    }
    found
}

/// A page without its blocks.
pub(crate) fn prose(page: &str) -> String {
    // Between pairs of fences is code, before and after it is text.
    page.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "text\n\n```yaml\na: 1\n\nb: 2\n```\n\nmore `text`\n\n```sh\nls\n```\n```\nnone\n```\nthe end\n";

    #[test]
    fn blocks_are_found_by_language() {
        assert_eq!(blocks(PAGE, "yaml"), ["a: 1\n\nb: 2\n"]);
        assert_eq!(blocks(PAGE, "sh"), ["ls\n"]);
        assert_eq!(blocks(PAGE, ""), ["none\n"]);
        assert!(blocks(PAGE, "json").is_empty());
    }

    #[test]
    fn prose_is_what_is_left() {
        let prose = prose(PAGE);
        assert!(prose.contains("more `text`") && prose.contains("the end"), "{prose}");
        assert!(!prose.contains("a: 1") && !prose.contains("none"), "{prose}");
    }
}
