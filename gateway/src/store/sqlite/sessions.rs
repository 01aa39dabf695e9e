//! Sessions of an embedded store.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{SqliteStore, now_ms, people, timestamp};
use crate::{
    model::{RoomId, SessionId, User, UserId},
    store::{
        StoreError,
        removals::Removal,
        sessions::{
            Ended, MAX_ENDED, MAX_SESSIONS, NewPassword, NewSession, REPEAT_WINDOW, Refresh, Refreshed, SessionStore,
            SessionView, TokenHash,
        },
    },
};

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn create_session(&self, new: NewSession) -> Result<(), StoreError> {
        self.write(move |connection| create(connection, &new)).await
    }

    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError> {
        self.write(move |connection| use_token(connection, &refresh)).await
    }

    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached("delete from sessions where user_id = ?1 and id = ?2")?;
            Ok(statement.execute((user.0, session.0))? > 0)
        })
        .await
    }

    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
        self.write(move |connection| end_all(connection, user, keep)).await
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionView>, StoreError> {
        self.read(move |connection| list(connection, user)).await
    }

    async fn session_lives(&self, user: UserId, session: SessionId) -> Result<bool, StoreError> {
        self.read(move |connection| lives(connection, user, session)).await
    }

    async fn ended_sessions(&self, sessions: &[(UserId, SessionId)]) -> Result<Vec<SessionId>, StoreError> {
        let sessions = sessions.to_vec();
        self.read(move |connection| {
            let mut ended = Vec::new();
            for (user, session) in sessions {
                if !lives(connection, user, session)? {
                    ended.push(session);
                }
            }
            Ok(ended)
        })
        .await
    }

    fn ended_parts(&self) -> Vec<usize> {
        vec![0]
    }

    async fn ended_since(&self, _: usize, mark: Option<i64>) -> Result<Ended, StoreError> {
        self.read(move |connection| endings(connection, mark)).await
    }

    async fn change_password(&self, new: NewPassword) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let NewPassword { user, old_hash, new_hash, keep } = new;
            let sql = "update users set password_hash = ?1 where id = ?2 and password_hash in (?1, ?3)";
            if connection.prepare_cached(sql)?.execute((new_hash, user.0, old_hash))? == 0 {
                return Ok(false);
            }
            end_all(connection, user, keep)?;
            Ok(true)
        })
        .await
    }

    async fn ensure_user(&self, user: User) -> Result<User, StoreError> {
        self.write(move |connection| {
            let sql = "insert into users (id, name, display_name, password_hash) values (?1, ?2, ?3, '') on conflict do nothing";
            connection.prepare_cached(sql)?.execute((user.id.0, &user.name, &user.display_name))?;
            Ok(people::credentials(connection, user.id)?.map_or(user, |(there, _)| there))
        })
        .await
    }
}

fn create(connection: &Connection, new: &NewSession) -> Result<(), StoreError> {
    if people::credentials(connection, new.user)?.is_none() {
        return Err(StoreError::UserNotFound(new.user.to_string()));
    }
    let now = now_ms();
    let sql = "insert into sessions (user_id, id, token_hash, created_ms, used_ms, expires_ms, ends_ms, user_agent)
        values (:user, :id, :hash, :now, :now, :expires, :ends, :agent) on conflict do nothing";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":user": new.user.0, ":id": new.id.0, ":hash": new.token_hash.as_slice(), ":now": now,
        ":expires": now + millis(new.idle.min(new.life)), ":ends": now + millis(new.life), ":agent": new.user_agent,
    })?;
    let sql = "delete from sessions where user_id = :user and id <> :id and (expires_ms <= :now or id in (
            select id from sessions where user_id = :user order by id = :id desc, used_ms desc, id desc limit -1 offset :most))";
    let most = i64::try_from(MAX_SESSIONS).unwrap_or(i64::MAX);
    connection
        .prepare_cached(sql)?
        .execute(named_params! { ":user": new.user.0, ":id": new.id.0, ":now": now, ":most": most })?;
    Ok(())
}

type Row = (TokenHash, Option<TokenHash>, Option<[u8; 32]>, i64, i64, i64);

fn use_token(connection: &Connection, refresh: &Refresh) -> Result<Refreshed, StoreError> {
    let key = (refresh.user.0, refresh.session.0);
    let now = now_ms();
    let row: Option<Row> = connection
        .prepare_cached(
            "select token_hash, previous_hash, salt, used_ms, expires_ms, ends_ms from sessions where user_id = ?1 and id = ?2",
        )?
        .query_row(key, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .optional()?;
    let account = people::credentials(connection, refresh.user)?;
    let (Some((current, previous, salt, used, expires, ends)), Some((user, _))) = (row, account) else {
        return Ok(Refreshed::Ended);
    };
    if expires > now {
        if current == refresh.presented {
            let expires = (now + millis(refresh.idle)).min(ends);
            let sql =
                "update sessions set token_hash = :next, previous_hash = :presented, salt = :salt, used_ms = :now,
                expires_ms = :expires, user_agent = :agent where user_id = :user and id = :id";
            connection.prepare_cached(sql)?.execute(named_params! {
                ":next": refresh.next.as_slice(), ":presented": refresh.presented.as_slice(), ":salt": refresh.salt.as_slice(),
                ":now": now, ":expires": expires, ":agent": refresh.user_agent, ":user": key.0, ":id": key.1,
            })?;
            return Ok(Refreshed::Rotated { user, expires_at: timestamp(expires) });
        }
        if let Some(salt) = salt
            && previous == Some(refresh.presented)
            && used + millis(REPEAT_WINDOW) > now
        {
            return Ok(Refreshed::Repeated { user, expires_at: timestamp(expires), salt });
        }
    }
    connection.prepare_cached("delete from sessions where user_id = ?1 and id = ?2")?.execute(key)?;
    Ok(if expires > now { Refreshed::Reused } else { Refreshed::Ended })
}

fn end_all(connection: &Connection, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("delete from sessions where user_id = ?1 and id is not ?2")?;
    let ended = statement.execute((user.0, keep.map(|id| id.0)))?;
    Ok(u64::try_from(ended).unwrap_or(u64::MAX))
}

fn lives(connection: &Connection, user: UserId, session: SessionId) -> Result<bool, StoreError> {
    let sql = "select 1 from sessions where user_id = ?1 and id = ?2 and expires_ms > ?3";
    Ok(connection.prepare_cached(sql)?.exists((user.0, session.0, now_ms()))?)
}

fn list(connection: &Connection, user: UserId) -> Result<Vec<SessionView>, StoreError> {
    let sql = "select id, created_ms, used_ms, expires_ms, user_agent from sessions
        where user_id = ?1 and expires_ms > ?2 order by created_ms desc, id desc";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((user.0, now_ms()), |row| {
        Ok(SessionView {
            id: SessionId(row.get(0)?),
            created_at: timestamp(row.get(1)?),
            last_used_at: timestamp(row.get(2)?),
            expires_at: timestamp(row.get(3)?),
            user_agent: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn endings(connection: &Connection, mark: Option<i64>) -> Result<Ended, StoreError> {
    let newest =
        connection.prepare_cached("select coalesce(max(n), 0) from endings")?.query_row([], |row| row.get(0))?;
    let sql = "select user_id, room_id, version from endings where n > ?1 and n <= ?2 order by n limit ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(MAX_ENDED).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query((mark.unwrap_or(newest), newest, limit))?;
    let mut ended = Ended { mark: newest, users: Vec::new(), removals: Vec::new() };
    while let Some(row) = rows.next()? {
        let user = UserId(row.get(0)?);
        match row.get(1)? {
            Some(room) => ended.removals.push(Removal { room: RoomId(room), user, version: row.get(2)? }),
            None => ended.users.push(user),
        }
    }
    Ok(ended)
}
