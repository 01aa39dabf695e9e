//! How WebSockets come in: the HTTP upgrade on the client port. What is said over them is the connection's business.

mod upgrade;

pub use upgrade::{Door, UpgradeError, accepted, handshake, upgrade};
