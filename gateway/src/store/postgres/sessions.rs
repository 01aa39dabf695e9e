//! Sessions, in the user's slot.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use uuid::Uuid;

use super::{PostgresStore, timestamp};
use crate::{
    model::{RoomId, SessionId, User, UserId},
    store::{
        StoreError,
        removals::Removal,
        sessions::{
            Ended, MAX_ENDED, MAX_SESSIONS, NewPassword, NewSession, REPEAT_WINDOW, Refresh, Refreshed, SessionStore,
            SessionView,
        },
    },
};

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn create_session(&self, new: NewSession) -> Result<(), StoreError> {
        let slot = self.slot(new.user.0);
        self.on_slot(slot, |pool| {
            let new = &new;
            async move {
                sqlx::query("select chat.create_session($1, $2, $3, $4, $5, $6, $7, $8)")
                    .bind(slot)
                    .bind(new.user.0)
                    .bind(new.id.0)
                    .bind(new.token_hash.as_slice())
                    .bind(seconds(new.idle))
                    .bind(seconds(new.life))
                    .bind(&new.user_agent)
                    .bind(i32::try_from(MAX_SESSIONS).unwrap_or(i32::MAX))
                    .execute(&pool)
                    .await
            }
        })
        .await?;
        Ok(())
    }

    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError> {
        type Row = (String, Option<Vec<u8>>, Option<i64>, Option<String>, Option<String>);
        let slot = self.slot(refresh.user.0);
        let row: Option<Row> = self
            .on_slot(slot, |pool| {
                let refresh = &refresh;
                async move {
                    let sql = "select outcome, salt, expires_ms, name, display_name \
                               from chat.refresh_session($1, $2, $3, $4, $5, $6, $7, $8, $9)";
                    sqlx::query_as(sql)
                        .bind(slot)
                        .bind(refresh.user.0)
                        .bind(refresh.session.0)
                        .bind(refresh.presented.as_slice())
                        .bind(refresh.next.as_slice())
                        .bind(refresh.salt.as_slice())
                        .bind(seconds(refresh.idle))
                        .bind(seconds(REPEAT_WINDOW))
                        .bind(&refresh.user_agent)
                        .fetch_optional(&pool)
                        .await
                }
            })
            .await?;
        // No row: the account is gone, and with it the session's meaning.
        let Some((outcome, salt, expires, name, display_name)) = row else { return Ok(Refreshed::Ended) };
        if outcome == "reused" {
            return Ok(Refreshed::Reused);
        }
        let (Some(expires), Some(name), Some(display_name)) = (expires, name, display_name) else {
            return Ok(Refreshed::Ended);
        };
        let user = User { id: refresh.user, name, display_name };
        let expires_at = timestamp(expires);
        Ok(match (outcome.as_str(), salt.and_then(|salt| salt.try_into().ok())) {
            ("repeated", Some(salt)) => Refreshed::Repeated { user, expires_at, salt },
            ("rotated", _) => Refreshed::Rotated { user, expires_at },
            _ => return Err(StoreError::Internal(format!("refresh_session answered {outcome}"))),
        })
    }

    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, StoreError> {
        let slot = self.slot(user.0);
        let ended: i32 = self
            .on_slot(slot, |pool| async move {
                sqlx::query_scalar("select chat.end_session($1, $2, $3)")
                    .bind(slot)
                    .bind(user.0)
                    .bind(session.0)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        Ok(ended > 0)
    }

    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
        let slot = self.slot(user.0);
        let ended: i32 = self
            .on_slot(slot, |pool| async move {
                sqlx::query_scalar("select chat.end_sessions($1, $2, $3)")
                    .bind(slot)
                    .bind(user.0)
                    .bind(keep.map(|id| id.0))
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        Ok(u64::try_from(ended).unwrap_or(0))
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionView>, StoreError> {
        type Row = (Option<Uuid>, Option<i64>, Option<i64>, Option<i64>, Option<String>);
        let slot = self.slot(user.0);
        let rows: Vec<Row> = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as(
                    "select session_id, created_ms, used_ms, expires_ms, user_agent from chat.sessions($1, $2)",
                )
                .bind(slot)
                .bind(user.0)
                .fetch_all(&pool)
                .await
            })
            .await?;
        let view = |(id, created, used, expires, user_agent): Row| {
            Some(SessionView {
                id: SessionId(id?),
                created_at: timestamp(created?),
                last_used_at: timestamp(used?),
                expires_at: timestamp(expires?),
                user_agent: user_agent?,
            })
        };
        Ok(rows.into_iter().filter_map(view).collect())
    }

    async fn session_lives(&self, user: UserId, session: SessionId) -> Result<bool, StoreError> {
        let slot = self.slot(user.0);
        self.on_slot(slot, |pool| async move {
            sqlx::query_scalar("select chat.session_lives($1, $2, $3)")
                .bind(slot)
                .bind(user.0)
                .bind(session.0)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    async fn ended_sessions(&self, sessions: &[(UserId, SessionId)]) -> Result<Vec<SessionId>, StoreError> {
        let mut asked: HashMap<Uuid, Vec<SessionId>> = HashMap::new();
        for (user, session) in sessions {
            asked.entry(user.0).or_default().push(*session);
        }
        let users: Vec<Uuid> = asked.keys().copied().collect();
        let (rows, _) = self
            .gather(&users, |pool, slots, users| async move {
                let rows: Vec<(Uuid, bool, Vec<Uuid>)> =
                    sqlx::query_as("select user_id, readable, sessions from chat.live_sessions($1, $2)")
                        .bind(slots)
                        .bind(users)
                        .fetch_all(&pool)
                        .await?;
                Ok(rows.into_iter().map(|(user, readable, live)| (user, readable, (user, live))).collect())
            })
            .await?;
        let mut ended = Vec::new();
        for (user, live) in rows {
            let live: HashSet<Uuid> = live.into_iter().collect();
            ended.extend(asked.remove(&user).into_iter().flatten().filter(|session| !live.contains(&session.0)));
        }
        Ok(ended)
    }

    fn ended_parts(&self) -> Vec<usize> {
        self.fleet.shards().iter().map(|shard| shard.index).collect()
    }

    async fn ended_since(&self, part: usize, mark: Option<i64>) -> Result<Ended, StoreError> {
        let member = self.fleet.get(part).ok_or_else(|| StoreError::Internal(format!("there is no shard {part}")))?;
        let limit = i32::try_from(MAX_ENDED).unwrap_or(i32::MAX).saturating_add(1);
        type Row = (i64, Vec<Uuid>, Vec<Uuid>, Vec<Uuid>, Vec<i64>);
        let (mark, users, rooms, removed, versions): Row = self
            .once(&member.shard, |pool| async move {
                sqlx::query_as("select next, users, rooms, removed, versions from chat.endings_since($1, $2)")
                    .bind(mark)
                    .bind(limit)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        let removal = |((room, user), version)| Removal { room: RoomId(room), user: UserId(user), version };
        Ok(Ended {
            mark,
            users: users.into_iter().map(UserId).collect(),
            removals: rooms.into_iter().zip(removed).zip(versions).map(removal).collect(),
        })
    }

    async fn change_password(&self, new: NewPassword) -> Result<bool, StoreError> {
        let slot = self.slot(new.user.0);
        self.on_slot(slot, |pool| {
            let new = &new;
            async move {
                sqlx::query_scalar("select chat.change_password($1, $2, $3, $4, $5)")
                    .bind(slot)
                    .bind(new.user.0)
                    .bind(&new.old_hash)
                    .bind(&new.new_hash)
                    .bind(new.keep.map(|id| id.0))
                    .fetch_one(&pool)
                    .await
            }
        })
        .await
    }

    async fn ensure_user(&self, user: User) -> Result<User, StoreError> {
        let slot = self.slot(user.id.0);
        let (name, display_name): (String, String) = self
            .on_slot(slot, |pool| {
                let user = &user;
                async move {
                    sqlx::query_as("select name, display_name from chat.ensure_user($1, $2, $3, $4)")
                        .bind(slot)
                        .bind(user.id.0)
                        .bind(&user.name)
                        .bind(&user.display_name)
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        Ok(User { id: user.id, name, display_name })
    }
}
