//! New gateways take the place of old ones in waves of the open connections: watched after each, and taken back when they are worse.
//!
//! Each revision has a Deployment of its own. What is under way is kept on them, as annotations: the wave, a failure, and when all gateways were
//! of it. An operator that starts anew goes on where the one before stopped.

mod analysis;
mod plan;
mod queries;
mod steering;

pub use self::{
    analysis::{Analyst, Finding, Limits, Round, Watched},
    plan::{Failure, Note, Plan, Revision, Rules, Situation, plan},
    queries::{Answered, Query},
    steering::{Course, Direction, Steering},
};
