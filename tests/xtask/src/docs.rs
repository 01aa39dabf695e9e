//! The documentation's links: each relative one must lead to a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{packages, paths, shell};

/// Fails when a link of a committed Markdown page leads nowhere.
pub(crate) fn run() -> Result<()> {
    packages::ensure_for_lists()?;
    let root = paths::root();
    let listed = shell::output(shell::command("git", &["ls-files", "*.md"]))?;
    let mut dead = Vec::new();
    let mut count = 0;
    for page in listed.lines().map(|line| root.join(line)).filter(|page| page.exists()) {
        for target in relative_links(&fs::read_to_string(&page)?) {
            count += 1;
            if !leads_somewhere(&page, &target) {
                dead.push(format!("{}: {target}", page.strip_prefix(&root).unwrap_or(&page).display()));
            }
        }
    }
    if !dead.is_empty() {
        bail!("links that lead nowhere:\n  {}", dead.join("\n  "));
    }
    println!("{count} links lead to files");
    Ok(())
}

fn leads_somewhere(page: &Path, target: &str) -> bool {
    let file = target.split('#').next().unwrap_or(target);
    let folder = page.parent().map_or_else(PathBuf::new, Path::to_owned);
    file.is_empty() || folder.join(file).exists()
}

/// Targets of `[text](target)` that name no scheme.
fn relative_links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| {
            !target.contains("://") && !target.starts_with("mailto:") && !target.contains(char::is_whitespace)
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_relative_links_only() {
        let text = "[a](one.md) and [b](https://example.org), ![c](two/three.png), [d](#here)";
        assert_eq!(relative_links(text), ["one.md", "two/three.png", "#here"]);
    }

    #[test]
    fn a_link_to_a_heading_is_judged_by_its_file() {
        let page = paths::root().join("README.md");
        assert!(leads_somewhere(&page, "CONTRIBUTING.md#tests"));
        assert!(leads_somewhere(&page, "#here"));
        assert!(!leads_somewhere(&page, "no-such-page.md"));
    }
}
