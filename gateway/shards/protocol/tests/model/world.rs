//! The world as a model: what it starts with, what can happen, and what then is.

use chat_shard_protocol::{Claim, Epoch, Generation, MoveId, Order, Row, Timeline, Token, Transit, Verdict, guard};
use stateright::{Model, Property};

use crate::action::Action;
use crate::bounds::{Bounds, Standby};
use crate::invariants;
use crate::safeguard::{Off, Safeguard};
use crate::state::{Content, Database, Gateway, Mover, Shard, State};
use crate::{gateways, movers, operator};

/// A model of bounded size, with some safeguards left out or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) off: Off,
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, off: Off::default() }
    }

    pub(crate) fn without(bounds: Bounds, safeguards: &[Safeguard]) -> Self {
        Self { bounds, off: Off::these(safeguards) }
    }

    pub(crate) fn lacks(&self, safeguard: Safeguard) -> bool {
        self.off.has(safeguard)
    }

    /// The epoch that the source owns the slot with in the beginning.
    pub(crate) fn first_epoch(&self) -> Epoch {
        Epoch(if self.bounds.returned { 3 } else { 1 })
    }

    /// The order of the move of this number.
    pub(crate) fn order(&self, number: u8) -> Order<Shard> {
        // Ids below 10 are of the moves before the beginning.
        Order { move_id: MoveId(10 + u128::from(number)), to: Shard::Destination, epoch: self.first_epoch() }
    }

    /// What the guard says to a write.
    pub(crate) fn verdict(&self, state: &State, shard: Shard) -> Verdict<Shard> {
        let row = state.row(shard);
        let mut site = state.site(shard);
        if self.lacks(Safeguard::LapseEndsWithTimeline)
            && let Some(claim) = row.and_then(Row::claim)
        {
            site.timeline = claim.generation.timeline;
        }
        guard(row, &site)
    }

    pub(crate) fn accepts(&self, state: &State, shard: Shard) -> bool {
        matches!(self.verdict(state, shard), Verdict::Accepted { .. })
    }

    /// Whether the slot's lock can be had exclusively, or is not asked for.
    pub(crate) fn locks(&self, state: &State, shard: Shard, safeguard: Safeguard) -> bool {
        self.lacks(safeguard) || state.flight.is_none_or(|flight| flight.shard != shard)
    }

    /// Changes what a shard has committed.
    pub(crate) fn write(state: &mut State, shard: Shard, change: impl FnOnce(&mut Content)) {
        change(&mut state.at_mut(shard).primary);
    }

    /// R1 as the source tells it: whether its standby has the row that it shows.
    pub(crate) fn row_is_flushed(&self, state: &State, shard: Shard) -> bool {
        let believed = shard == Shard::Source
            && self.bounds.source == Some(Standby::Synchronous)
            && self.lacks(Safeguard::FlushIsAskedOfSynchronous);
        let database = state.at(shard);
        believed || database.primary.row == database.standby.row
    }

    /// What a synchronous standby has by the time that a commit returns.
    fn replicate(&self, before: &State, action: Action, after: &mut State) {
        let synchronous = self.bounds.source == Some(Standby::Synchronous);
        let waited = !matches!(action, Action::CommitCutOff(_) | Action::Promote(..));
        if synchronous && waited && before.source.primary != after.source.primary {
            after.source.standby = after.source.primary;
        }
    }

    /// Does the step, if it can be done and changes anything.
    fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Claim(..)
            | Action::Prepare(_)
            | Action::ReadChunk(_)
            | Action::WriteChunk(_)
            | Action::Apply(_)
            | Action::Forget(_)
            | Action::Fence(_)
            | Action::AskFlushed(_)
            | Action::Commit(_)
            | Action::CommitCutOff(_)
            | Action::ReadRetained(_)
            | Action::Restore(_)
            | Action::Crash(_) => movers::step(self, state, action),
            Action::Send { .. } | Action::Begin | Action::Finish { .. } | Action::Sever => {
                gateways::step(self, state, action)
            }
            _ => operator::step(self, state, action),
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let database = |content: Content, promotions| Database {
            primary: content,
            standby: content,
            timeline: Timeline(1),
            clock: 0,
            promotions,
        };
        let number = if self.bounds.returned { 2 } else { 0 };
        let owned = Row { epoch: self.first_epoch(), number, state: chat_shard_protocol::State::Owned };
        let source = Content { row: Some(owned), ..Content::default() };
        let mut destination = Content::default();
        let mut token = None;
        let mut movers = [Mover::Idle; 2];
        if self.bounds.returned {
            // From here to there by move 1, and back by move 2.
            let transit = Transit { peer: Shard::Source, move_id: MoveId(2), timeline: Timeline(1), since: 2 };
            let state = chat_shard_protocol::State::Moved(transit);
            destination.row = Some(Row { epoch: Epoch(3), number: 2, state });
            let generation = Generation { timeline: Timeline(1), number: 1 };
            let claim = Claim { epoch: Epoch(1), generation, move_id: MoveId(1), since: 1 };
            token = Some(Token { claim });
            // The room was empty when it was read.
            movers = [Mover::Claimed(claim), Mover::Retaining(claim, Default::default(), 0)];
        }
        let gateway =
            |number| Gateway { route: Shard::Source, done: number >= self.bounds.messages, told: None, origin: None };
        let mut state = State {
            source: database(source, self.bounds.promotions[0]),
            destination: database(destination, self.bounds.promotions[1]),
            movers,
            gateways: [gateway(0), gateway(1)],
            flight: None,
            token,
            map: self.first_epoch(),
            ordered: 1,
            claims: self.bounds.claims,
            cut_offs: self.bounds.cut_offs,
            steps_back: self.bounds.steps_back,
            aborts: self.bounds.aborts,
            cleaned: false,
            broken: 0,
        };
        state.normalise(&self.bounds);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        movers::actions(self, state, actions);
        gateways::actions(self, state, actions);
        operator::actions(self, state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut after = before.clone();
        self.step(&mut after, action)?;
        self.replicate(before, action, &mut after);
        invariants::judge(before, action, &mut after);
        after.normalise(&self.bounds);
        (after != *before).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::properties()
    }
}
