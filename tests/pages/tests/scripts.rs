//! Scripts that pages show: the shell understands them, and the files of the repository that they name are there. Nothing of them is run.

use std::{io::Write as _, path::Path, process};

/// Folders of the repository that scripts name.
const OURS: [&str; 3] = ["charts/", "docs/", "kubectl-chat/"];

#[test]
fn the_shell_understands_every_script() {
    let mut seen = 0;
    for page in pages::all().unwrap() {
        for script in pages::blocks(&page.text, "sh") {
            let mut shell = process::Command::new("bash")
                .arg("-n")
                .stdin(process::Stdio::piped())
                .stderr(process::Stdio::piped())
                .spawn()
                .expect("bash has to be installed");
            shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            let output = shell.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{}: {said}\n{script}", page.path);
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} scripts");
}

#[test]
fn files_that_scripts_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for page in pages::all().unwrap() {
        for script in pages::blocks(&page.text, "sh") {
            for word in script.split_whitespace().filter(|word| OURS.iter().any(|folder| word.starts_with(folder))) {
                assert!(root.join(word).exists(), "{} names {word}:\n{script}", page.path);
                seen += 1;
            }
        }
    }
    assert!(seen > 2, "only {seen} files");
}
