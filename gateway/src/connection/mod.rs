//! One connection: a task that owns the socket, the queue that others fill, and what others know of it.

pub mod queue;
pub mod session;
