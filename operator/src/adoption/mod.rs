//! A new operator restarts nothing: each workload carries the pod template that it was made from, and keeps it until somebody who may say so
//! lets it have the one that this operator makes of the same spec.
//!
//! What the user changes is applied at once, as ever. What differs although the user changed nothing is a change of the operator's: it waits, and the status
//! tells of it. `docs/adr/0034-a-new-operator-restarts-nothing.md` says why it is done this way.

mod changes;
mod decision;
mod identity;
mod record;

pub use self::{
    changes::differences,
    decision::{Decision, Rendering, decide},
    identity::identity,
    record::{Lasting, Pending, Record, hash_of},
};
