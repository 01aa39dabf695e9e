//! Writes the generated tables of docs/reference/metrics.md; with `--check` it writes nothing and fails if one is out of date.

use std::{fs, path::Path, process::ExitCode};

use chat_gateway_config::metrics::{gateway, process, table, with_table};
use chat_operator::metrics::families;

const PAGE: &str = "docs/reference/metrics.md";

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let check = std::env::args().any(|arg| arg == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent folder")?;
    let path = root.join(PAGE);
    let now = fs::read_to_string(&path)?;
    let mut then = now.clone();
    for (name, families) in
        [("operator", families::FAMILIES), ("gateway", gateway::FAMILIES), ("process", process::FAMILIES)]
    {
        then =
            with_table(&then, name, &table(families)).ok_or_else(|| format!("{PAGE} has lost the marks of {name}"))?;
    }
    if now == then {
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        eprintln!("{PAGE} is out of date; run: cargo xtask codegen");
        return Ok(ExitCode::FAILURE);
    }
    fs::write(&path, then)?;
    println!("wrote {PAGE}");
    Ok(ExitCode::SUCCESS)
}
