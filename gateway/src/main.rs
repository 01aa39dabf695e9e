//! `chat-gateway`: serves chat clients, and migrates the database shards.

fn main() {}
