//! Tells the audit log of texts that somebody else than their sender deletes.

use super::{Outcome, Pipeline};
use crate::{
    audit::{self, Act, Record},
    connection::session::Session,
    model::{Content, RoomId, Seq, UserId},
    protocol::{Answer, ErrorCode, WireError},
    store::{NewMessage, Page, View},
};

/// A deletion that is about to be tried.
#[derive(Clone, Copy)]
pub(super) struct Deletion {
    room: RoomId,
    target: Seq,
    request: uuid::Uuid,
}

impl Deletion {
    /// Of an entry, if it is one.
    pub(super) fn of(new: &NewMessage) -> Option<Self> {
        let Content::Delete { target } = new.content else { return None };
        Some(Self { room: new.room, target, request: new.message_id.0 })
    }

    /// Tells what came of it, if it was about another's text. Who wrote that is read afterwards: deletions are rare, and all else stays as quick as it is.
    pub(super) async fn note(self, pipeline: &Pipeline, session: &Session, result: &Result<Outcome, WireError>) {
        let author = self.author(pipeline, session.user.id).await;
        // A text that cannot be found was nobody's. That it could not be read after it was deleted does not make it one's own.
        let may_be_others = match result {
            Ok(_) => true,
            Err(error) => author.is_some() || error.code == ErrorCode::Forbidden,
        };
        if author == Some(session.user.id) || !may_be_others {
            return;
        }
        let outcome = audit::outcome(
            result,
            |error| error.code,
            |done| !matches!(done.answer, Answer::Sent { duplicate: true, .. }),
        );
        let (request, room, message) = (Some(self.request), Some(self.room), Some(self.target));
        Record { request, room, user: author, message, ..Record::of(Act::DeleteMessage, session) }.write(outcome);
    }

    async fn author(self, pipeline: &Pipeline, reader: UserId) -> Option<UserId> {
        let page = Page::Before(self.target.saturating_add(1));
        let entries = pipeline.services.store.history(self.room, reader, page, View::Log, 1).await.ok()?;
        entries.messages.iter().find(|entry| entry.seq == self.target).map(|entry| entry.sender)
    }
}
