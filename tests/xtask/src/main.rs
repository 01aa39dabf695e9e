//! The developer entry point: cargo xtask

fn main() {}
