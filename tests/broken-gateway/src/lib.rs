//! Gateways that are worse than the real one, for the tests of rollouts: the same parts with a fault between them. What is broken stands in the
//! environment of the image, one tag a fault. The real program has none of this.

mod admin;
mod deliveries;
mod fault;
mod tamper;

pub use self::{admin::answer_for, deliveries::spoil, fault::Fault, tamper::stand_before};
