//! Writes the generated CRD files and pages; with `--check` it writes nothing and fails if one is out of date.

use std::{path::Path, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let check = std::env::args().any(|arg| arg == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent folder")?;
    let mut stale = false;
    let mut files = chat_crds::render::files()?;
    for (name, table) in chat_crds::next_steps::tables() {
        let page = std::fs::read_to_string(root.join(name))?;
        let page = chat_crds::next_steps::with_table(&page, &table);
        files.push((name.to_owned(), page.ok_or("a page has lost the marks around its table of reasons")?));
    }
    for (name, text) in files {
        let path = root.join(&name);
        if std::fs::read_to_string(&path).is_ok_and(|now| now == text) {
            continue;
        }
        stale = true;
        if check {
            eprintln!("{name} is out of date; run: cargo xtask codegen");
        } else {
            std::fs::create_dir_all(path.parent().ok_or("a generated file has no folder")?)?;
            std::fs::write(&path, text)?;
            println!("wrote {name}");
        }
    }
    Ok(if check && stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
