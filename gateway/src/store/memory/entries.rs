//! The log of one room of the fake.

use jiff::Timestamp;

use super::room::{Given, RoomState};
use crate::{
    model::{Content, EntryKind, Message, Reaction, Seq, UserId},
    store::{
        Entries, NewMessage, Page, StoreError, View,
        changes::{Actor, REACTIONS, check, digest, is_repeat},
        limits::MAX_REACTIONS,
    },
};

/// What became of a change.
enum Changed {
    /// The text is another one now.
    Text,
    /// It is as it was: the reaction is there already, by the entry at this seq, or there is none to end.
    Nothing(Option<Seq>),
}

impl RoomState {
    /// Appends an entry and changes the text that it names; the second value says that it had been there before.
    pub(super) fn send(&mut self, new: NewMessage, now: Timestamp) -> Result<(Message, bool), StoreError> {
        let member = self.member(new.sender).ok_or(StoreError::RoomNotFound)?;
        let (sender_name, role) = (member.display_name.clone(), member.role);
        if let Some(first) = self.messages.iter().find(|entry| entry.message_id == new.message_id) {
            if !is_repeat(first, self.first_bodies.get(&first.seq).map(<[u8; 32]>::as_slice), &new) {
                return Err(StoreError::MessageIdReused);
            }
            let first = new.stored(first.seq, first.sender_name.clone(), first.at, first.mentions.clone());
            return Ok((first, true));
        }
        let asked_before = self.idle.get(&new.message_id).filter(|_| new.content.kind() != EntryKind::Text);
        if let Some((sender, content, seq)) = asked_before {
            if (sender, content) != (&new.sender, &new.content) {
                return Err(StoreError::MessageIdReused);
            }
            return self.answered(new, *seq);
        }
        let seq = self.last_seq() + 1;
        let mut mentions = Vec::new();
        match &new.content {
            Content::Text { reply_to, mentions: wanted, .. } => {
                if reply_to.is_some_and(|seq| self.at(seq).is_none_or(|text| text.kind != EntryKind::Text)) {
                    return Err(StoreError::MessageNotFound("reply_to"));
                }
                mentions = wanted.iter().copied().filter(|user| self.role(*user).is_some()).collect();
                mentions.sort_unstable();
                mentions.dedup();
            }
            content => {
                let target = content.target().ok_or(StoreError::MessageNotFound("target"))?;
                let actor = Actor { user: new.sender, role, room: self.kind };
                check(content, self.at(target), &actor)?;
                if let Changed::Nothing(there) = self.change(content, target, new.sender, seq, now)? {
                    self.idle.insert(new.message_id, (new.sender, new.content.clone(), there));
                    return self.answered(new, there);
                }
            }
        }
        let message = new.stored(seq, sender_name, now, mentions);
        self.messages.push(message.clone());
        Ok((message, false))
    }

    /// The answer to a reaction that changed nothing, by the entry at `there`.
    fn answered(&self, new: NewMessage, there: Option<Seq>) -> Result<(Message, bool), StoreError> {
        let there = there.and_then(|seq| self.at(seq)).ok_or(StoreError::MessageNotFound("emoji"))?;
        Ok((new.stored(there.seq, there.sender_name.clone(), there.at, Vec::new()), true))
    }

    fn at(&self, seq: Seq) -> Option<&Message> {
        self.messages.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    /// Does to the text what an entry at `seq` says.
    fn change(
        &mut self,
        content: &Content,
        target: Seq,
        user: UserId,
        seq: Seq,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let given = |given: &Given, emoji: &str| given.target == target && given.user == user && given.emoji == emoji;
        match content {
            Content::Text { .. } => {}
            Content::Edit { body, .. } => self.replace_body(target, body, false, now),
            Content::Delete { .. } => {
                self.replace_body(target, "", true, now);
                self.reactions.retain(|reaction| reaction.target != target);
            }
            Content::React { emoji, .. } => {
                if let Some(there) = self.reactions.iter().find(|reaction| given(reaction, emoji)) {
                    return Ok(Changed::Nothing(Some(there.seq)));
                }
                let own = self.reactions.iter().filter(|r| r.target == target && r.user == user).count();
                if own >= MAX_REACTIONS {
                    return Err(StoreError::Limit(REACTIONS));
                }
                self.reactions.push(Given { target, user, emoji: emoji.clone(), seq });
            }
            Content::Unreact { emoji, .. } => {
                let before = self.reactions.len();
                self.reactions.retain(|reaction| !given(reaction, emoji));
                if self.reactions.len() == before {
                    return Ok(Changed::Nothing(None));
                }
            }
        }
        Ok(Changed::Text)
    }

    /// Gives a text another body, and takes theirs from the edits before.
    fn replace_body(&mut self, text: Seq, body: &str, deleted: bool, now: Timestamp) {
        for entry in &mut self.messages {
            let superseded = entry.target == Some(text) && entry.kind == EntryKind::Edit;
            if superseded || entry.seq == text {
                self.first_bodies.entry(entry.seq).or_insert_with(|| digest(&entry.body));
            }
            if superseded {
                entry.body.clear();
                entry.deleted = true;
            } else if entry.seq == text {
                body.clone_into(&mut entry.body);
                entry.deleted = deleted;
                entry.edited_at = Some(now);
            }
        }
    }

    /// A page as one member sees it.
    pub(super) fn page(&self, user: UserId, page: Page, view: View, limit: usize) -> Entries {
        let shown = |entry: &&Message| {
            let inside = match page {
                Page::After(seq) => entry.seq > seq,
                Page::Before(seq) => entry.seq < seq,
                Page::Newest => true,
            };
            inside && (view == View::Log || entry.kind == EntryKind::Text)
        };
        let mut messages: Vec<Message> = self.messages.iter().filter(shown).cloned().collect();
        let more = messages.len() > limit;
        match page {
            Page::After(_) => messages.truncate(limit),
            Page::Before(_) | Page::Newest => drop(messages.drain(..messages.len().saturating_sub(limit))),
        }
        let reactions = if view == View::Texts {
            messages
                .iter()
                .map(|text| (text.seq, self.reactions_to(text.seq, user)))
                .filter(|r| !r.1.is_empty())
                .collect()
        } else {
            Vec::new()
        };
        Entries { messages, reactions, more, last_seq: self.last_seq() }
    }

    fn reactions_to(&self, text: Seq, user: UserId) -> Vec<Reaction> {
        let mut found: Vec<Reaction> = Vec::new();
        for given in self.reactions.iter().filter(|given| given.target == text) {
            let mine = given.user == user;
            match found.iter_mut().find(|reaction| reaction.emoji == given.emoji) {
                Some(reaction) => {
                    reaction.count += 1;
                    reaction.mine |= mine;
                }
                None => found.push(Reaction { emoji: given.emoji.clone(), count: 1, mine }),
            }
        }
        found
    }
}
