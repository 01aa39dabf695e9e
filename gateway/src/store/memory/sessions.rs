//! Sessions of the fake.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{MemoryStore, State, now};
use crate::{
    model::{SessionId, User, UserId},
    store::{
        StoreError,
        removals::Removal,
        sessions::{
            Ended, MAX_SESSIONS, NewPassword, NewSession, REPEAT_WINDOW, Refresh, Refreshed, SessionStore, SessionView,
            TokenHash,
        },
    },
};

/// Something that was ended.
pub(super) enum Ending {
    /// A session of this user.
    Session(UserId),
    /// A membership.
    Membership(Removal),
}

/// One session.
pub(super) struct Row {
    token: TokenHash,
    previous: Option<(TokenHash, [u8; 32])>,
    created_at: Timestamp,
    used_at: Timestamp,
    expires_at: Timestamp,
    ends_at: Timestamp,
    user_agent: String,
}

impl State {
    /// Ends a session; false when it had ended.
    fn end(&mut self, key: (UserId, SessionId)) -> bool {
        let ended = self.sessions.remove(&key).is_some();
        if ended {
            self.endings.push(Ending::Session(key.0));
        }
        ended
    }
}

fn after(start: Timestamp, time: Duration) -> Timestamp {
    start.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create_session(&self, new: NewSession) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        if !state.users.contains_key(&new.user) {
            return Err(StoreError::UserNotFound(new.user.to_string()));
        }
        let now = now();
        let ends_at = after(now, new.life);
        state.sessions.entry((new.user, new.id)).or_insert(Row {
            token: new.token_hash,
            previous: None,
            created_at: now,
            used_at: now,
            expires_at: after(now, new.idle).min(ends_at),
            ends_at,
            user_agent: new.user_agent,
        });
        let mut mine: Vec<_> = state.sessions.iter().filter(|((user, _), _)| *user == new.user).collect();
        mine.sort_by_key(|((_, id), row)| std::cmp::Reverse((*id == new.id, row.used_at, *id)));
        let over = mine.iter().enumerate().filter(|(n, (_, row))| *n >= MAX_SESSIONS || row.expires_at <= now);
        let over: Vec<_> = over.map(|(_, (key, _))| **key).filter(|(_, id)| *id != new.id).collect();
        for key in over {
            state.end(key);
        }
        Ok(())
    }

    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError> {
        let mut state = self.lock()?;
        let now = now();
        let key = (refresh.user, refresh.session);
        let user = state.users.get(&refresh.user).map(|(user, _)| user.clone());
        let (Some(row), Some(user)) = (state.sessions.get_mut(&key), user) else { return Ok(Refreshed::Ended) };
        if row.expires_at > now {
            if row.token == refresh.presented {
                row.previous = Some((row.token, refresh.salt));
                row.token = refresh.next;
                row.used_at = now;
                row.expires_at = after(now, refresh.idle).min(row.ends_at);
                row.user_agent = refresh.user_agent;
                return Ok(Refreshed::Rotated { user, expires_at: row.expires_at });
            }
            if let Some((previous, salt)) = row.previous
                && previous == refresh.presented
                && after(row.used_at, REPEAT_WINDOW) > now
            {
                return Ok(Refreshed::Repeated { user, expires_at: row.expires_at, salt });
            }
        }
        let reused = row.expires_at > now;
        state.end(key);
        Ok(if reused { Refreshed::Reused } else { Refreshed::Ended })
    }

    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, StoreError> {
        Ok(self.lock()?.end((user, session)))
    }

    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
        let mut state = self.lock()?;
        let mine = state.sessions.keys().filter(|(owner, id)| *owner == user && Some(*id) != keep);
        let mine: Vec<_> = mine.copied().collect();
        for key in &mine {
            state.end(*key);
        }
        Ok(u64::try_from(mine.len()).unwrap_or(u64::MAX))
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionView>, StoreError> {
        let state = self.lock()?;
        let now = now();
        let mine = state.sessions.iter().filter(|((owner, _), row)| *owner == user && row.expires_at > now);
        let mut views: Vec<_> = mine
            .map(|((_, id), row)| SessionView {
                id: *id,
                created_at: row.created_at,
                last_used_at: row.used_at,
                expires_at: row.expires_at,
                user_agent: row.user_agent.clone(),
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse((view.created_at, view.id)));
        Ok(views)
    }

    async fn session_lives(&self, user: UserId, session: SessionId) -> Result<bool, StoreError> {
        Ok(self.lock()?.sessions.get(&(user, session)).is_some_and(|row| row.expires_at > now()))
    }

    async fn ended_sessions(&self, sessions: &[(UserId, SessionId)]) -> Result<Vec<SessionId>, StoreError> {
        let state = self.lock()?;
        let now = now();
        let ended = sessions.iter().filter(|key| state.sessions.get(key).is_none_or(|row| row.expires_at <= now));
        Ok(ended.map(|(_, id)| *id).collect())
    }

    fn ended_parts(&self) -> Vec<usize> {
        vec![0]
    }

    async fn ended_since(&self, _: usize, mark: Option<i64>) -> Result<Ended, StoreError> {
        let state = self.lock()?;
        let all = state.endings.len();
        let from = mark.map_or(all, |mark| usize::try_from(mark).unwrap_or(all).min(all));
        let mut ended = Ended { mark: i64::try_from(all).unwrap_or(i64::MAX), users: Vec::new(), removals: Vec::new() };
        for ending in &state.endings[from..] {
            match ending {
                Ending::Session(user) => ended.users.push(*user),
                Ending::Membership(removal) => ended.removals.push(*removal),
            }
        }
        Ok(ended)
    }

    async fn change_password(&self, new: NewPassword) -> Result<bool, StoreError> {
        {
            let mut state = self.lock()?;
            let Some((_, hash)) = state.users.get_mut(&new.user) else { return Ok(false) };
            if *hash != new.old_hash && *hash != new.new_hash {
                return Ok(false);
            }
            *hash = new.new_hash;
        }
        self.end_sessions(new.user, new.keep).await?;
        Ok(true)
    }

    async fn ensure_user(&self, user: User) -> Result<User, StoreError> {
        let mut state = self.lock()?;
        Ok(state.users.entry(user.id).or_insert_with(|| (user, String::new())).0.clone())
    }
}
