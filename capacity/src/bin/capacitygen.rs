//! Writes the generated tables of docs/explanation/capacity.md; with `--check` it writes nothing and fails if one is out of date.

use std::{fs, path::Path, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let check = std::env::args().any(|arg| arg == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent folder")?;
    let path = root.join("docs/explanation/capacity.md");
    let now = fs::read_to_string(&path)?;
    let then = chat_capacity::tables::with_tables(&now)?;
    let then = then.ok_or("docs/explanation/capacity.md has lost the marks around its tables")?;
    if now == then {
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        eprintln!("docs/explanation/capacity.md is out of date; run: cargo xtask codegen");
        return Ok(ExitCode::FAILURE);
    }
    fs::write(&path, then)?;
    println!("wrote docs/explanation/capacity.md");
    Ok(ExitCode::SUCCESS)
}
