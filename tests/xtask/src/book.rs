//! The book: `docs/SUMMARY.md` has every page of `docs/` once, so that whoever reads the book misses none.

pub(crate) mod built;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::docs::relative_links;

/// The folder of the pages, and within it the list of them.
const FOLDER: &str = "docs/";
const SUMMARY: &str = "SUMMARY.md";

/// Where the list is, from the workspace's root.
pub(crate) const PATH: &str = "docs/SUMMARY.md";

/// Compares the list with the pages: `pages` are committed Markdown files by their paths from the workspace's root, those of other folders included.
///
/// Returns how many pages the book has.
///
/// # Errors
/// A page is missing in the list, is in it twice, or is none; the message names all of them.
pub(crate) fn check<'a>(summary: &str, pages: impl Iterator<Item = &'a str>) -> Result<usize> {
    // How often each is in the list. None for what is no page.
    let mut listed: BTreeMap<&str, Option<usize>> = pages
        .filter_map(|page| page.strip_prefix(FOLDER))
        .filter(|page| *page != SUMMARY)
        .map(|page| (page, Some(0)))
        .collect();
    let links = relative_links(summary);
    for link in &links {
        if let Some(count) = listed.entry(link).or_insert(None) {
            *count += 1;
        }
    }
    let wrong: Vec<String> = listed
        .iter()
        .filter_map(|(page, count)| match count {
            Some(1) => None,
            Some(0) => Some(format!("{page} is missing")),
            Some(count) => Some(format!("{page} is listed {count} times")),
            None => Some(format!("{page} is listed and no page of {FOLDER}")),
        })
        .collect();
    if !wrong.is_empty() {
        bail!("{PATH} lists every page of {FOLDER} once, but:\n  {}", wrong.join("\n  "));
    }
    Ok(listed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: [&str; 4] = ["README.md", "docs/README.md", "docs/SUMMARY.md", "docs/how-to/develop.md"];

    fn judged(summary: &str) -> Result<usize, String> {
        check(summary, PAGES.into_iter()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_page_of_the_folder_is_listed_once() {
        let summary = "# Summary\n\n[Documentation](README.md)\n\n# How to\n\n- [Develop](how-to/develop.md)\n";
        assert_eq!(judged(summary), Ok(2));
    }

    #[test]
    fn what_is_missing_twice_or_no_page_is_named() {
        let summary = "[Documentation](README.md)\n- [Again](README.md)\n- [Gone](how-to/gone.md)\n";
        let said = judged(summary).unwrap_err();
        for wrong in
            ["README.md is listed 2 times", "how-to/develop.md is missing", "how-to/gone.md is listed and no page"]
        {
            assert!(said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn a_link_into_a_page_is_no_page() {
        let said = judged("[Documentation](README.md)\n- [Develop](how-to/develop.md#the-steps)\n").unwrap_err();
        assert!(said.contains("how-to/develop.md is missing"), "{said}");
    }
}
