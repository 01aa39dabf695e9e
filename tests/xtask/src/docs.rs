//! The documentation's links: each relative one must lead to a file, and to a heading of it if it names one; and [the book](crate::book) to every page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{book, packages, paths, shell};

/// Fails when a link of a committed Markdown page leads nowhere, the book lacks a page, or mdBook does not build it.
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
    let pages = book::check(&fs::read_to_string(root.join(book::PATH))?, listed.lines())?;
    let within = book::built::check(pages)?;
    println!(
        "{count} links lead to files and headings; the book has all of {pages} pages, and {within} links within it"
    );
    Ok(())
}

/// Whether there is such a file and, where the target names a heading of a Markdown page, such a heading.
fn leads_somewhere(page: &Path, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.parent().map_or_else(PathBuf::new, Path::to_owned);
    let file = if file.is_empty() { page.to_owned() } else { folder.join(file) };
    if anchor.is_empty() || file.extension().is_none_or(|extension| extension != "md") {
        return file.exists();
    }
    fs::read_to_string(file).is_ok_and(|text| pages::anchors(&text).contains(anchor))
}

/// Targets of `[text](target)` that name no scheme.
pub(crate) fn relative_links(text: &str) -> Vec<String> {
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
    fn a_link_leads_to_a_file_and_to_a_heading_of_it() {
        let page = paths::root().join("README.md");
        assert!(leads_somewhere(&page, "CONTRIBUTING.md"));
        assert!(leads_somewhere(&page, "docs/how-to/develop.md#the-steps"));
        assert!(leads_somewhere(&page, "#try-it"));
        assert!(leads_somewhere(&page, "Cargo.toml#L1"));
        assert!(!leads_somewhere(&page, "docs/how-to/develop.md#no-such-heading"));
        assert!(!leads_somewhere(&page, "#no-such-heading"));
        assert!(!leads_somewhere(&page, "no-such-page.md"));
    }
}
