//! Gateways of one process over the memory store and the memory broker, spoken to through real WebSocket framing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

#[path = "chat/binary.rs"]
mod binary;
#[path = "chat/centrifuge.rs"]
mod centrifuge;
#[path = "chat/centrifuge_client.rs"]
mod centrifuge_client;
#[path = "chat/centrifuge_wire.rs"]
mod centrifuge_wire;
#[path = "chat/client.rs"]
mod client;
#[path = "chat/delivery.rs"]
mod delivery;
#[path = "chat/drain.rs"]
mod drain;
#[path = "chat/entries.rs"]
mod entries;
#[path = "chat/ephemera.rs"]
mod ephemera;
#[path = "chat/faulty.rs"]
mod faulty;
#[path = "chat/input.rs"]
mod input;
#[path = "chat/limits.rs"]
mod limits;
#[path = "chat/membership.rs"]
mod membership;
#[path = "chat/requests.rs"]
mod requests;
#[path = "chat/resume.rs"]
mod resume;
#[path = "chat/revocation.rs"]
mod revocation;
#[path = "schemas/mod.rs"]
mod schemas;
#[path = "chat/slow.rs"]
mod slow;
#[path = "chat/upgrade.rs"]
mod upgrade;
#[path = "chat/world.rs"]
mod world;
