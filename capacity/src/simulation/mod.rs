//! Plays a workload message by message, as a check of the [plan](crate::plan()) by other means: rooms have members on gateways, each of which
//! has processors and a line of work before them; texts wait for commits, are handed to every gateway that has somebody of the room, and are
//! written to each member. How many gateways hear of a message, how many texts share a commit and how long anybody waits comes out of it and is
//! put in nowhere. Only what one thing costs is the same.

mod random;
mod scenarios;
mod station;
mod world;

pub use scenarios::{Check, Comparison, checks, comparisons, setup_of};
pub use world::{Lost, Outcome, Setup, Times, run};
