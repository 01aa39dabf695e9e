//! Slots between database shards: what the spec asks for, what the shards say, which moves follow, and how far they are. Pure: answers and
//! objects come in, statuses and mover Jobs come out.
//!
//! The shards themselves decide who owns a slot; nothing here is remembered that cannot be asked of them again, but the plan that a person may
//! have approved of, which stands in the status of its ShardRebalance.

mod census;
mod course;
#[cfg(test)]
mod judged;
mod memory;
mod pauses;
mod progress;
mod proposal;
mod standing;
mod step;
#[cfg(test)]
mod tests;
mod wish;

pub use self::{
    census::{Census, Slot},
    course::{Course, MoverJob, Scene, course},
    memory::Memory,
    proposal::{Measures, NoPlan, propose},
    standing::{Standing, Task, Wanted},
    wish::{Wish, WishedShard},
};
