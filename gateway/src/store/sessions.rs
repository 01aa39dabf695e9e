//! Sign-ins that can be ended. A session is one row in its user's slot; ending it deletes the row, so a session that is not there has
//! ended, and a user's sessions move with the user.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{StoreError, removals::Removal};
use crate::model::{SessionId, User, UserId};

/// Sessions of one user; another sign-in ends the one that was left unused for longest.
pub const MAX_SESSIONS: usize = 100;

/// How long the refresh token before the present one is answered with the present one again: for a client that lost the answer. Long
/// enough for a repeat after a lost connection, short against anything that a thief could make of it.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(10);

/// Characters of a user agent that are kept.
pub const USER_AGENT_CHARS: usize = 200;

/// Users, and removals, in one [`Ended`]: of more at once, comparing everybody costs no more.
pub const MAX_ENDED: usize = 10_000;

/// How long a store remembers that a session or a membership was ended, at least.
pub const ENDED_KEPT: Duration = Duration::from_secs(60);

/// SHA-256 of a refresh token's secret.
pub type TokenHash = [u8; 32];

/// A session to be made. Times are in whole seconds.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose; the account must be there.
    pub user: UserId,
    /// Id, drawn by the gateway.
    pub id: SessionId,
    /// Hash of the first refresh token.
    pub token_hash: TokenHash,
    /// It ends when it is not refreshed for this long.
    pub idle: Duration,
    /// It ends after this time in any case.
    pub life: Duration,
    /// What the client calls itself, at most [`USER_AGENT_CHARS`].
    pub user_agent: String,
}

/// A use of a refresh token.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// Whose.
    pub user: UserId,
    /// Which session.
    pub session: SessionId,
    /// Hash of the token that was presented.
    pub presented: TokenHash,
    /// Hash of the token that follows it.
    pub next: TokenHash,
    /// What the next token is made with, together with the presented one; kept for a repeat.
    pub salt: [u8; 32],
    /// As in [`NewSession`].
    pub idle: Duration,
    /// As in [`NewSession`].
    pub user_agent: String,
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was the present one; the next one has taken its place.
    Rotated {
        /// The account.
        user: User,
        /// When the session ends if it is not refreshed again.
        expires_at: Timestamp,
    },
    /// It was the one before, used again within [`REPEAT_WINDOW`] while nobody has used its successor: the successor is made with
    /// this salt.
    Repeated {
        /// The account.
        user: User,
        /// When the session ends if it is not refreshed again.
        expires_at: Timestamp,
        /// The salt of the first use.
        salt: [u8; 32],
    },
    /// It had been used before: somebody else has it. The session has been ended.
    Reused,
    /// The session has ended.
    Ended,
}

/// A session as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Id.
    pub id: SessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// Time of the last refresh.
    pub last_used_at: Timestamp,
    /// When it ends if it is not refreshed again.
    pub expires_at: Timestamp,
    /// What the client called itself at the last refresh.
    pub user_agent: String,
}

/// Whose sessions and memberships were ended since a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// To be given with the next question. Lower than the mark of the question when the store has lost its memory, as after a restore
    /// from a backup.
    pub mark: i64,
    /// The users, some perhaps more than once, or told of before already. Over [`MAX_ENDED`] of them some are missing.
    pub users: Vec<UserId>,
    /// The memberships, with the same reservations.
    pub removals: Vec<Removal>,
}

/// A change of password. Both are PHC strings.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// Whose.
    pub user: UserId,
    /// The hash that was checked; when another stands there by now, nothing happens.
    pub old_hash: String,
    /// The hash to put in its place.
    pub new_hash: String,
    /// The session that goes on; all others end with the old password.
    pub keep: Option<SessionId>,
}

/// The part of the store's contract that is about sessions. Every call that ends sessions may be repeated.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Makes a session, and clears away those of the same user that have run out or are over [`MAX_SESSIONS`].
    async fn create_session(&self, new: NewSession) -> Result<(), StoreError>;

    /// Uses a refresh token; see [`Refreshed`]. Of several uses of one token at once exactly one rotates.
    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError>;

    /// Ends a session; false when it had ended.
    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, StoreError>;

    /// Ends all sessions of a user but one; says how many.
    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError>;

    /// The user's sessions, the newest first.
    async fn sessions(&self, user: UserId) -> Result<Vec<SessionView>, StoreError>;

    /// Whether a session goes on.
    async fn session_lives(&self, user: UserId, session: SessionId) -> Result<bool, StoreError>;

    /// Which of these sessions have ended; those of users whose shard is away are left out. At most 200 sessions.
    async fn ended_sessions(&self, sessions: &[(UserId, SessionId)]) -> Result<Vec<SessionId>, StoreError>;

    /// The parts in which the store remembers what was ended: one for each shard, so that one which is away or slow holds up no other. They come
    /// and go with the shards; the number of one that has gone is never another's.
    fn ended_parts(&self) -> Vec<usize>;

    /// Of which users sessions were ended, in whatever way, and who ceased to be a member of which room, since `mark` of an earlier answer
    /// for this part; nothing without a mark. It costs one read, whatever the number of sessions. What ended over [`ENDED_KEPT`] ago may
    /// have been forgotten; a session that ran out by itself is not told.
    async fn ended_since(&self, part: usize, mark: Option<i64>) -> Result<Ended, StoreError>;

    /// Changes a password and ends the user's other sessions in one transaction; false when the old hash does not stand there.
    async fn change_password(&self, new: NewPassword) -> Result<bool, StoreError>;

    /// Finds the account of a user who signs in elsewhere, or makes it (without a password). Of several makers at once one makes it,
    /// and all get that one; the names of an account that is there stay.
    async fn ensure_user(&self, user: User) -> Result<User, StoreError>;
}
