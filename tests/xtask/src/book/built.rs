//! The book as mdBook builds it: every page is there, and links within it lead to pages and headings that mdBook made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{packages, paths, shell};

/// A version of mdBook that the pinned toolchain builds.
const VERSION: &str = "0.5.4";

/// Where `book.toml` has it built.
const FOLDER: &str = "target/book";

/// Builds the book, and follows its links. Returns how many lead to where they should.
///
/// # Errors
/// mdBook cannot be installed or gives up, fewer pages came out than went in, or a link leads nowhere; the message names all of those.
pub(crate) fn check(pages: usize) -> Result<usize> {
    let mdbook = packages::cargo_install("mdbook", VERSION, "mdbook")?.join("mdbook");
    let root = paths::root();
    let said = shell::output(shell::command(&mdbook, &["build", &root.display().to_string()]))?;
    let built = html(&root.join(FOLDER))?;
    ensure!(built.len() >= pages, "mdBook made {} pages of {pages}:\n{said}", built.len());
    follow(&built)
}

/// What mdBook made, by its paths in the book.
fn html(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut built = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let text = fs::read_to_string(&path).with_context(|| format!("{} is no text", path.display()))?;
                built.insert(path.strip_prefix(folder)?.to_owned(), text);
            }
        }
    }
    Ok(built)
}

/// Follows the links from page to page. Those that lead out of the book are for the repository, and [`crate::docs`] follows them.
fn follow(built: &BTreeMap<PathBuf, String>) -> Result<usize> {
    let (mut count, mut dead) = (0, Vec::new());
    for (page, text) in built {
        for target in targets(text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let Some(to) = resolved(page, file) else { continue };
            count += 1;
            let leads = match built.get(&to) {
                Some(other) => anchor.is_empty() || other.contains(&format!("id=\"{anchor}\"")),
                None => to.extension().is_some_and(|extension| extension != "html"),
            };
            if !leads {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    if !dead.is_empty() {
        bail!("links of the book that lead nowhere:\n  {}", dead.join("\n  "));
    }
    Ok(count)
}

/// Targets of links that name no scheme.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("<a ")
        .skip(1)
        .filter_map(|rest| rest.split('>').next()?.split("href=\"").nth(1)?.split('"').next())
        .filter(|target| !target.contains(':'))
}

/// Where a link of a page leads within the book; `None` if out of it.
fn resolved(page: &Path, file: &str) -> Option<PathBuf> {
    if file.is_empty() {
        return Some(page.to_owned());
    }
    let mut to = page.parent()?.to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => to.pop().then_some(())?,
            Component::Normal(name) => to.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(link: &str) -> BTreeMap<PathBuf, String> {
        let index = format!("<nav><a class=\"x\" href=\"{link}\">there</a></nav>");
        let page = "<h2 id=\"steps\"><a class=\"header\" href=\"#steps\">Steps</a></h2>";
        [("how-to/index.html", index.as_str()), ("why/page.html", page)]
            .map(|(path, text)| (PathBuf::from(path), text.to_owned()))
            .into()
    }

    #[test]
    fn links_lead_to_pages_and_headings() {
        for (link, leading) in
            [("../why/page.html#steps", 2), ("../../CHANGELOG.html", 1), ("https://example.org/x.html", 1)]
        {
            assert_eq!(follow(&book(link)).unwrap(), leading, "{link}");
        }
        for dead in ["../why/page.html#none", "page.html", "#nowhere"] {
            let said = follow(&book(dead)).unwrap_err().to_string();
            assert!(said.contains(&format!("how-to/index.html: {dead}")), "{said}");
        }
    }
}
