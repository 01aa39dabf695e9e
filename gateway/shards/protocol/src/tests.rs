//! Every refusal, and which state each step leads from and to. What the steps do together is the model's to check.

use crate::*;

const HERE: &str = "a";
const THERE: &str = "b";

fn site(shard: &'static str, timeline: u32, now: u64) -> Site<&'static str> {
    Site { shard, timeline: Timeline(timeline), now: Millis(now) }
}

fn order() -> Order<&'static str> {
    Order { move_id: MoveId(7), to: THERE, epoch: Epoch(1) }
}

fn owned() -> Row<&'static str> {
    Row { epoch: Epoch(1), number: 0, state: State::Owned }
}

/// S1 at an owner.
fn claimed() -> (Row<&'static str>, Claim) {
    match claim(Some(&owned()), &order(), &site(HERE, 1, 0), true) {
        Ok(Claimed::Claimed { row, claim, afresh: true }) => (row, claim),
        other => panic!("{other:?}"),
    }
}

fn fenced() -> (Row<&'static str>, Claim) {
    let (row, claim) = claimed();
    (fence(Some(&row), &claim, &site(HERE, 1, 1000), Millis(500)).unwrap(), claim)
}

fn importing() -> (Row<&'static str>, Claim) {
    let (_, claim) = claimed();
    (prepare(None, &claim, &HERE, &site(THERE, 4, 0)).unwrap().row, claim)
}

const DRAINED: CommitProof = CommitProof { log_is_empty: true, destination_is_flushed: true };

fn moved() -> (Row<&'static str>, Claim) {
    let (row, claim) = fenced();
    (commit(Some(&row), &claim, &site(HERE, 1, 1100), Millis(50), DRAINED).unwrap(), claim)
}

#[test]
fn a_move_goes_from_owner_to_owner() {
    let (source, claim) = moved();
    let (destination, same) = importing();
    assert_eq!(claim, same);
    assert_eq!((source.epoch, destination.epoch), (Epoch(2), Epoch(2)));
    let token = token(&source, true).unwrap();
    let activated = activate(Some(&destination), &token, &site(THERE, 4, 0), None).unwrap();
    assert_eq!(activated, Row { epoch: Epoch(2), number: 1, state: State::Owned });
    assert_eq!(
        activate(Some(&activated), &token, &site(THERE, 5, 0), None),
        Ok(activated),
        "again, it changes nothing"
    );
    assert_eq!(guard(Some(&source), &site(HERE, 1, 0)), Verdict::Moved { peer: THERE, epoch: Epoch(2) });
    let proof = CleanProof { activation_is_flushed: true, compared: true, published: true };
    assert_eq!(clean(Some(&source), Some(&activated), proof), Ok(()));
}

#[test]
fn claims_are_refused_with_the_reason() {
    let refused = |row: Option<&Row<_>>, order: Order<_>, site: Site<_>| claim(row, &order, &site, true).unwrap_err();
    let (fence_row, _) = fenced();
    let (tombstone, _) = moved();
    let other_move = Order { move_id: MoveId(8), ..order() };
    assert_eq!(refused(None, order(), site(HERE, 1, 0)), Refusal::NotHere);
    assert_eq!(refused(Some(&importing().0), order(), site(THERE, 4, 0)), Refusal::OntoItself);
    assert_eq!(refused(Some(&importing().0), order(), site(HERE, 1, 0)), Refusal::NotHere);
    assert_eq!(refused(Some(&owned()), Order { epoch: Epoch(3), ..order() }, site(HERE, 1, 0)), Refusal::OtherEpoch);
    assert_eq!(refused(Some(&claimed().0), other_move, site(HERE, 1, 0)), Refusal::OtherMove);
    assert_eq!(refused(Some(&fence_row), order(), site(HERE, 1, 1499)), Refusal::FenceHolds);
    assert_eq!(refused(Some(&tombstone), other_move, site(HERE, 1, 0)), Refusal::Moved);
    assert_eq!(claim(Some(&tombstone), &order(), &site(HERE, 1, 0), false), Err(Refusal::NotFlushed));
}

#[test]
fn a_claim_takes_over_and_copies_afresh_only_after_a_promotion() {
    for (row, timeline, now, expected) in
        [(claimed().0, 1, 0, false), (claimed().0, 2, 0, true), (fenced().0, 1, 1500, false), (fenced().0, 2, 0, true)]
    {
        let taken = claim(Some(&row), &order(), &site(HERE, timeline, now), true).unwrap();
        let Claimed::Claimed { row: new, claim, afresh } = taken else { panic!("{taken:?}") };
        assert_eq!(afresh, expected, "{row:?}");
        assert_eq!(new.claim(), Some(claim));
        assert!(row.claim() < Some(claim) && matches!(new.state, State::Migrating(_)));
    }
    assert!(matches!(claim(Some(&moved().0), &order(), &site(HERE, 2, 0), true), Ok(Claimed::Committed(_))));
}

#[test]
fn the_destination_obeys_the_newest_claim() {
    let (row, old) = importing();
    let newer = Claim { generation: Generation { number: 2, ..old.generation }, ..old };
    let promoted = Claim { generation: Generation { timeline: Timeline(2), number: 1 }, ..old };
    let revived = Claim { since: 2, ..newer };
    let later = Claim { epoch: Epoch(3), move_id: MoveId(9), ..old };
    let at = site(THERE, 4, 0);
    for (claim, afresh) in [(old, false), (newer, false), (revived, true), (promoted, true), (later, true)] {
        let prepared = prepare(Some(&row), &claim, &HERE, &at).unwrap();
        assert_eq!((prepared.row.claim(), prepared.afresh), (Some(claim), afresh));
        if claim != old {
            assert_eq!(prepare(Some(&prepared.row), &old, &HERE, &at), Err(Refusal::OldGeneration));
            assert_eq!(apply(Some(&prepared.row), &old, &at), Err(Refusal::OldGeneration));
        }
    }
    assert!(prepare(Some(&row), &newer, &HERE, &site(THERE, 5, 0)).unwrap().afresh, "its own promotion");
    assert_eq!(apply(Some(&row), &old, &site(THERE, 5, 0)), Err(Refusal::TimelineChanged));
    assert_eq!(prepare(Some(&owned()), &old, &HERE, &at), Err(Refusal::Owned));
    assert_eq!(prepare(Some(&row), &old, &THERE, &at), Err(Refusal::OntoItself));
}

#[test]
fn a_tombstone_makes_room_for_its_epoch_and_later_ones() {
    let (tombstone, claim) = moved();
    let back = Claim { epoch: Epoch(2), move_id: MoveId(8), ..claim };
    assert!(prepare(Some(&tombstone), &back, &THERE, &site(HERE, 1, 0)).unwrap().afresh);
    assert_eq!(prepare(Some(&tombstone), &claim, &THERE, &site(HERE, 1, 0)), Err(Refusal::OldGeneration));
}

#[test]
fn a_commit_is_refused_with_the_reason() {
    let (row, claim) = fenced();
    let refused = |row: Option<&Row<_>>, claim: &Claim, site: Site<_>, proof| {
        commit(row, claim, &site, Millis(50), proof).unwrap_err()
    };
    let at = site(HERE, 1, 1449);
    assert!(commit(Some(&row), &claim, &at, Millis(50), DRAINED).is_ok());
    assert_eq!(refused(None, &claim, at, DRAINED), Refusal::NotHere);
    assert_eq!(refused(Some(&claimed().0), &claim, at, DRAINED), Refusal::WrongState);
    let other = Claim { move_id: MoveId(8), ..claim };
    assert_eq!(refused(Some(&row), &other, at, DRAINED), Refusal::OldGeneration);
    assert_eq!(refused(Some(&row), &claim, site(HERE, 2, 1449), DRAINED), Refusal::TimelineChanged);
    assert_eq!(refused(Some(&row), &claim, site(HERE, 1, 1450), DRAINED), Refusal::FenceLapsed);
    let logged = CommitProof { log_is_empty: false, ..DRAINED };
    assert_eq!(refused(Some(&row), &claim, at, logged), Refusal::LogNotEmpty);
    let unflushed = CommitProof { destination_is_flushed: false, ..DRAINED };
    assert_eq!(refused(Some(&row), &claim, at, unflushed), Refusal::NotFlushed);
}

#[test]
fn an_activation_is_refused_with_the_reason() {
    let (row, _) = importing();
    let word = token(&moved().0, true).unwrap();
    let at = site(THERE, 4, 0);
    assert_eq!(token(&moved().0, false), Err(Refusal::NotFlushed));
    assert_eq!(token(&row, true), Err(Refusal::WrongState));
    assert_eq!(activate(None, &word, &at, None), Err(Refusal::NotHere));
    let wrong = [
        Claim { move_id: MoveId(8), ..word.claim },
        Claim { epoch: Epoch(0), ..word.claim },
        Claim { generation: Generation { number: 2, ..word.claim.generation }, ..word.claim },
        Claim { generation: Generation { timeline: Timeline(2), ..word.claim.generation }, ..word.claim },
    ];
    for claim in wrong {
        assert_eq!(activate(Some(&row), &Token { claim }, &at, None), Err(Refusal::OldGeneration));
    }
    assert_eq!(activate(Some(&row), &word, &site(THERE, 5, 0), None), Err(Refusal::Unverified));
    assert_eq!(activate(Some(&row), &word, &site(THERE, 6, 0), Some(Timeline(5))), Err(Refusal::Unverified));
    assert!(activate(Some(&row), &word, &site(THERE, 5, 0), Some(Timeline(5))).is_ok());
    // It owns the slot, but has not yet got this move's.
    assert_eq!(activate(Some(&owned()), &word, &at, None), Err(Refusal::OldGeneration));
}

#[test]
fn a_fence_ends_by_itself_on_its_own_timeline_only() {
    let (row, claim) = fenced();
    assert_eq!(guard(Some(&row), &site(HERE, 1, 1499)), Verdict::Fenced);
    assert_eq!(guard(Some(&row), &site(HERE, 1, 1500)), Verdict::Accepted { logged: true });
    assert_eq!(guard(Some(&row), &site(HERE, 2, 9999)), Verdict::Fenced);
    assert_eq!(unfence(Some(&row), &site(HERE, 1, 9999), None), Err(Refusal::FenceHolds));
    assert_eq!(unfence(Some(&claimed().0), &site(HERE, 2, 0), None), Err(Refusal::WrongState));
    assert_eq!(unfence(None, &site(HERE, 2, 0), None), Err(Refusal::NotHere));
    let there = Row { epoch: Epoch(2), ..owned() };
    assert_eq!(unfence(Some(&row), &site(HERE, 2, 0), Some(&there)), Err(Refusal::Owned));
    let freed = unfence(Some(&row), &site(HERE, 2, 0), Some(&importing().0)).unwrap();
    assert_eq!(guard(Some(&freed), &site(HERE, 2, 0)), Verdict::Accepted { logged: true });
    assert_eq!(fence(Some(&freed), &claim, &site(HERE, 2, 0), Millis(500)), Err(Refusal::TimelineChanged));
}

#[test]
fn fences_and_the_log_are_the_claimants() {
    let (row, claim) = claimed();
    let other = Claim { generation: Generation { number: 0, ..claim.generation }, ..claim };
    let at = site(HERE, 1, 0);
    assert_eq!(fence(None, &claim, &at, Millis(1)), Err(Refusal::NotHere));
    assert_eq!(fence(Some(&fenced().0), &claim, &at, Millis(1)), Err(Refusal::WrongState));
    assert_eq!(fence(Some(&row), &other, &at, Millis(1)), Err(Refusal::OldGeneration));
    assert_eq!(forget(Some(&row), &claim, &at), Ok(()));
    assert_eq!(forget(Some(&fenced().0), &claim, &at), Ok(()));
    assert_eq!(forget(Some(&row), &other, &at), Err(Refusal::OldGeneration));
    assert_eq!(forget(Some(&row), &claim, &site(HERE, 2, 0)), Err(Refusal::TimelineChanged));
    assert_eq!(forget(Some(&moved().0), &claim, &at), Err(Refusal::WrongState));
    assert_eq!(forget(None::<&Row<&str>>, &claim, &at), Err(Refusal::NotHere));
    assert_eq!(apply(Some(&row), &claim, &at), Err(Refusal::WrongState));
    assert_eq!(apply(None::<&Row<&str>>, &claim, &at), Err(Refusal::NotHere));
}

#[test]
fn cleaning_waits_for_the_new_owner() {
    let (row, _) = moved();
    let there = Row { epoch: Epoch(2), ..owned() };
    let proof = CleanProof { activation_is_flushed: true, compared: true, published: true };
    let refused = |destination: Option<&Row<_>>, proof| clean(Some(&row), destination, proof).unwrap_err();
    assert_eq!(refused(None, proof), Refusal::NotHere);
    assert_eq!(refused(Some(&importing().0), proof), Refusal::WrongState);
    assert_eq!(refused(Some(&owned()), proof), Refusal::WrongState);
    assert_eq!(refused(Some(&there), CleanProof { activation_is_flushed: false, ..proof }), Refusal::NotFlushed);
    assert_eq!(refused(Some(&there), CleanProof { compared: false, ..proof }), Refusal::Unverified);
    assert_eq!(refused(Some(&there), CleanProof { published: false, ..proof }), Refusal::Unverified);
    assert_eq!(clean(Some(&fenced().0), Some(&there), proof), Err(Refusal::WrongState));
    assert_eq!(clean(None, Some(&there), proof), Err(Refusal::NotHere));
}

#[test]
fn an_abort_gives_the_slot_back_until_the_commit() {
    for (row, _) in [claimed(), fenced()] {
        assert_eq!(abort(Some(&row), MoveId(7)), Ok(Row { number: 1, ..owned() }));
        assert_eq!(abort(Some(&row), MoveId(8)), Err(Refusal::OtherMove));
        assert_eq!(discard(Some(&importing().0), Some(&row), MoveId(7)), Err(Refusal::Moved));
    }
    assert_eq!(abort(Some(&owned()), MoveId(7)), Ok(owned()));
    assert_eq!(abort(Some(&moved().0), MoveId(7)), Err(Refusal::Moved));
    assert_eq!(abort(Some(&importing().0), MoveId(7)), Err(Refusal::NotHere));
    assert_eq!(abort(None::<&Row<&str>>, MoveId(7)), Err(Refusal::NotHere));
    assert_eq!(discard(Some(&importing().0), Some(&owned()), MoveId(7)), Ok(()));
    assert_eq!(discard(Some(&importing().0), Some(&owned()), MoveId(8)), Err(Refusal::OtherMove));
    assert_eq!(discard(Some(&importing().0), Some(&moved().0), MoveId(7)), Err(Refusal::Moved));
    assert_eq!(discard(Some(&owned()), Some(&owned()), MoveId(7)), Err(Refusal::WrongState));
    assert_eq!(discard(None, Some(&owned()), MoveId(7)), Err(Refusal::NotHere));
}

#[test]
fn reads_go_on_until_the_slot_has_moved() {
    for (row, expected) in
        [(owned(), true), (claimed().0, true), (fenced().0, true), (moved().0, false), (importing().0, false)]
    {
        assert_eq!(readable(Some(&row)), expected, "{row:?}");
    }
    assert!(!readable(None::<&Row<&str>>));
    assert_eq!(guard(None, &site(HERE, 1, 0)), Verdict::Unknown);
    assert_eq!(guard(Some(&importing().0), &site(THERE, 4, 0)), Verdict::Importing);
    assert_eq!(guard(Some(&owned()), &site(HERE, 1, 0)), Verdict::Accepted { logged: false });
    assert_eq!(guard(Some(&claimed().0), &site(HERE, 2, 0)), Verdict::Accepted { logged: true });
}
