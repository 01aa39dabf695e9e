//! The protocol of a slot's move, checked exhaustively in worlds of bounded size before anything runs it.
//!
//! The worlds use the transitions of the crate, so what is checked is what the databases' functions and the mover are tested
//! against. What the crate leaves to its callers is modelled here: the lock that orders writers and movers, what a transaction
//! reads and writes, which order a mover keeps, what a standby has flushed, and what a promotion loses.
//!
//! | module | |
//! | --- | --- |
//! | `state`, `action` | what there is, and what can happen next |
//! | `movers`, `gateways`, `operator` | how each does its steps |
//! | `world`, `bounds` | the model, and how large it is |
//! | `invariants`, `reachability` | I1 to I8 and I10 in every state; I9, and that every step can be taken |
//! | `safeguard` | what can be left out |
//! | `holds` | with every safeguard there is no violation |
//! | `mutants` | without one there is, or it is said why not |
//!
//! All together take 35 seconds of one core: 20 seconds on two that are idle. `CHATCLUSTER_LONG=1` allows one claim more in
//! each world, which takes two minutes.
//!
//! A restoration is a step that somebody may take whenever S8 asks for a comparison; in earnest people order it (`--restore`).
//!
//! Not modelled: the full compare (S5, and the check of touched rooms in S6b), which could only hide a fault of the protocol;
//! edits and removals, since the log holds keys, and a row is re-read; more than one slot, room, or chunk of a slot; the
//! planner (I11); time, but for the fence's deadline; a primary that goes on serving beside its promoted standby; two standbys
//! that choose the same timeline; and what a backup restored to an earlier moment would do.

mod action;
mod bounds;
mod check;
mod gateways;
mod holds;
mod invariants;
mod movers;
mod mutants;
mod operator;
mod reachability;
mod safeguard;
mod state;
mod world;
mod worlds;
