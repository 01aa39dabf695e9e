//! S8: the destination begins to accept writes, on the word of the source.

use crate::{Claim, Refusal, Row, Site, State, Timeline};

/// The source's word that a move has committed, and that no promotion can take that back. Whoever holds one may do S8: a
/// mover, the operator, or a gateway that found it in a refusal. It stays true for ever, so it need not be kept secret or fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The claim that committed.
    pub claim: Claim,
}

/// The token of a row that says `moved`. `flushed`: the standby that may be promoted has flushed that row (rule R1); true
/// without a standby.
///
/// With a synchronous standby it has to be looked at like with any other: a commit whose wait was cut off is visible, and yet
/// not flushed.
///
/// # Errors
/// [`Refusal::WrongState`], [`Refusal::NotFlushed`].
pub fn token<S>(row: &Row<S>, flushed: bool) -> Result<Token, Refusal> {
    let (State::Moved(_), Some(claim)) = (&row.state, row.claim()) else { return Err(Refusal::WrongState) };
    if flushed { Ok(Token { claim }) } else { Err(Refusal::NotFlushed) }
}

/// S8, at the destination: `importing` becomes `owned`, where move, generation and epoch are the token's. Again, it changes
/// nothing.
///
/// `verified` is the destination's timeline under which its rows were compared with those that the source retains; only
/// needed after a promotion at the destination (rule R4).
///
/// # Errors
/// [`Refusal::NotHere`]; [`Refusal::OldGeneration`] also when the slot has moved on since; [`Refusal::Unverified`].
pub fn activate<S: Clone + Eq>(
    row: Option<&Row<S>>,
    token: &Token,
    site: &Site<S>,
    verified: Option<Timeline>,
) -> Result<Row<S>, Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let epoch = token.claim.epoch.next();
    match &row.state {
        State::Owned | State::Migrating(_) | State::Fenced(..) if row.epoch >= epoch => Ok(row.clone()),
        State::Importing(_, own) => {
            row.obeys(&token.claim)?;
            if *own != site.timeline && verified != Some(site.timeline) {
                return Err(Refusal::Unverified);
            }
            Ok(Row { epoch, number: row.number, state: State::Owned })
        }
        _ => Err(Refusal::OldGeneration),
    }
}
