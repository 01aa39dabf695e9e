//! The pages of the documentation as tests need them: blocks of code, commands, headings. They are Markdown as it is written here: fences begin at
//! the beginning of a line, and a span of code ends on its line.

mod blocks;
mod commands;
mod headings;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use blocks::blocks;
pub use commands::{Command, commands};
pub use headings::anchors;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its path from the workspace's root.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// The pages for whoever uses or develops ChatCluster: those of `docs/`, and those at the workspace's root except the changelog, which tells of
/// commands that are gone. Sorted by path.
///
/// # Errors
/// A folder or page cannot be read.
pub fn all() -> io::Result<Vec<Page>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = markdown(&root)?;
    files.retain(|path| !path.ends_with("CHANGELOG.md"));
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        files.extend(markdown(&folder)?);
        for entry in fs::read_dir(&folder)? {
            folders.extend(Some(entry?.path()).filter(|path| path.is_dir()));
        }
    }
    let mut pages = Vec::with_capacity(files.len());
    for file in files {
        let path = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        pages.push(Page { path, text: fs::read_to_string(&file)? });
    }
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(pages)
}

/// The Markdown files that lie in a folder itself.
fn markdown(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.extend(Some(entry?.path()).filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_root_and_of_all_folders_of_docs_are_there() {
        let pages = all().unwrap();
        let paths: Vec<&str> = pages.iter().map(|page| page.path.as_str()).collect();
        for path in ["README.md", "docs/README.md", "docs/how-to/develop.md", "docs/adr/0013-group-commit.md"] {
            assert!(paths.contains(&path), "{path} is not among {paths:?}");
        }
        assert!(!paths.contains(&"CHANGELOG.md"));
    }
}
