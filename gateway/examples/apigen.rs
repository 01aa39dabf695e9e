//! Writes the documents of the protocol into a folder; with `--check` it writes nothing and fails if one is out of date.

use std::{path::PathBuf, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let check = std::env::args().any(|arg| arg == "--check");
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference"));
    let mut stale = false;
    for (name, document) in chat_gateway::contract::documents() {
        let path = folder.join(name);
        let text = format!(
            "# Made by `cargo xtask codegen` out of the gateway's types.\n{}",
            serde_yaml_ng::to_string(&document)?
        );
        if std::fs::read_to_string(&path).is_ok_and(|now| now == text) {
            continue;
        }
        stale = true;
        if check {
            eprintln!("docs/reference/{name} is out of date; run: cargo xtask codegen");
        } else {
            std::fs::write(&path, text)?;
            println!("wrote docs/reference/{name}");
        }
    }
    Ok(if check && stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
