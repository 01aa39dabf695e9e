//! Tests that need the whole machine: they take away what all clusters share (the operator), or they promise a time, or they push as much load as
//! the machine bears. `cargo xtask test` runs them one after the other, when no other test runs.

mod api_server_away;
mod backends_away;
mod drains;
mod faults;
mod load;
mod operator_away;
mod operator_killed;
mod paused;
mod reboot;
mod times;
mod two_operators;
