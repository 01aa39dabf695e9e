//! The audit log: who did what privileged thing, from where, and what came of it. One line each, with the target [`TARGET`], whatever the level of the
//! other lines is. Ids, addresses and fixed words only: nothing that people write, no name and no secret fits into a [`Record`].

mod allowance;

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

pub use chat_gateway_config::audit::{Outcome, TARGET};
use uuid::Uuid;

use self::allowance::Allowance;
use crate::{
    connection::session::Session,
    model::{Role, RoomId, Seq, SessionId, UserId},
    protocol::ErrorCode,
};

chat_gateway_config::acts! {
    /// Something privileged that was done or tried.
    pub enum Act {
        /// The gateway is to take nobody new.
        Cordon = "cordon",
        /// The gateway is to take clients again.
        Uncordon = "uncordon",
        /// Clients are asked to connect elsewhere.
        MoveClients = "move-clients",
        /// A request to the admin port without its token.
        AdminRequest = "admin-request",
        /// Somebody wants to be let in by a password or by another issuer's word.
        SignIn = "sign-in",
        /// Somebody brings a token, of access or for fresh ones.
        Token = "token",
        /// A used refresh token came back, and its session was ended.
        TokenReuse = "token-reuse",
        /// A session is ended, and its tokens with it.
        EndSession = "end-session",
        /// All sessions of a user are ended.
        EndSessions = "end-sessions",
        /// A password is changed, and all other sessions of the user are ended.
        ChangePassword = "change-password",
        /// A member of a room is removed by somebody else.
        RemoveMember = "remove-member",
        /// A member of a room gets another role.
        SetRole = "set-role",
        /// Somebody else's text is deleted.
        DeleteMessage = "delete-message",
        /// Other keys count for tokens from now on, or another one signs.
        SigningKeys = "signing-keys",
        /// Another live configuration is in force.
        Configuration = "configuration",
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Whoever has the token of the admin port: the operator.
    AdminToken,
    /// A user who is signed in.
    User(UserId),
    /// Whoever may write the gateway's files.
    Files,
    /// Nobody who proved who they are.
    Unknown,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::AdminToken => "admin-token",
            Self::User(_) => "user",
            Self::Files => "files",
            Self::Unknown => "unknown",
        }
    }
}

/// One line, but for what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What was done or tried.
    pub act: Act,
    /// Who did.
    pub by: By,
    /// From where, as limits on addresses see it.
    pub from: Option<IpAddr>,
    /// Idempotency key of the request.
    pub request: Option<Uuid>,
    /// The room.
    pub room: Option<RoomId>,
    /// Whom it was done to.
    pub user: Option<UserId>,
    /// The new role.
    pub role: Option<Role>,
    /// The text.
    pub message: Option<Seq>,
    /// The session that was ended.
    pub session: Option<SessionId>,
    /// How many clients were asked.
    pub asked: Option<u32>,
    /// Method and path of a request to the admin port.
    pub route: Option<(&'a str, &'a str)>,
    /// Ids of the keys that count, and of the one that signs.
    pub keys: Option<(&'a [String], &'a str)>,
    /// Digest of the live configuration.
    pub config: Option<&'a str>,
}

impl Record<'_> {
    /// One with nothing but what all have.
    #[must_use]
    pub const fn new(act: Act, by: By, from: Option<IpAddr>) -> Self {
        Self {
            act,
            by,
            from,
            request: None,
            room: None,
            user: None,
            role: None,
            message: None,
            session: None,
            asked: None,
            route: None,
            keys: None,
            config: None,
        }
    }

    /// One of what the user of a connection did.
    #[must_use]
    pub fn of(act: Act, session: &Session) -> Self {
        Self::new(act, By::User(session.user.id), session.address.map(|address| address.0))
    }

    /// Writes the line. What was not done is for anybody to cause, so that only so many lines are written about it for each act; how many were
    /// left out is told by [`catch_up`].
    pub fn write(&self, outcome: Outcome<'_>) {
        if outcome != Outcome::Done && !may_write(self.act) {
            return;
        }
        let actor = if let By::User(user) = self.by { Some(user) } else { None };
        tracing::info!(
            target: TARGET,
            act = self.act.name(),
            outcome = outcome.name(),
            reason = outcome.reason(),
            by = self.by.name(),
            actor = actor.map(display),
            from = self.from.map(display),
            request = self.request.map(display),
            room = self.room.map(display),
            user = self.user.map(display),
            role = self.role.map(Role::name),
            message_seq = self.message,
            session = self.session.map(display),
            asked = self.asked,
            method = self.route.map(|route| route.0),
            path = self.route.map(|route| route.1),
            keys = self.keys.map(|keys| keys.0.join(",")),
            signs = self.keys.map(|keys| keys.1),
            config = self.config,
        );
    }
}

/// What came of something that the store, or another part, answered.
#[must_use]
pub fn outcome<T, E>(
    answer: &Result<T, E>,
    code: impl FnOnce(&E) -> ErrorCode,
    is_change: impl FnOnce(&T) -> bool,
) -> Outcome<'static> {
    match answer {
        Ok(value) if is_change(value) => Outcome::Done,
        Ok(_) => Outcome::Unchanged,
        Err(error) => refusal(code(error)),
    }
}

/// What came of something that was answered with this code.
#[must_use]
pub fn refusal(code: ErrorCode) -> Outcome<'static> {
    if code.is_the_gateways() { Outcome::Failed(code.name()) } else { Outcome::Denied(code.name()) }
}

/// What is left of the lines of each act. There is one of a process, as there is one standard output.
static ALLOWANCES: [Mutex<Allowance>; Act::ALL.len()] = [const { Mutex::new(Allowance::full()) }; Act::ALL.len()];

fn may_write(act: Act) -> bool {
    let Some(allowance) = ALLOWANCES.get(act as usize) else { return true };
    let (may, left_out) = allowance.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
    tell(act, left_out);
    may
}

/// Tells how many lines there was no room for: of the periods that are over, or of all because the gateway ends.
pub fn catch_up(ends: bool) {
    for (act, allowance) in Act::ALL.into_iter().zip(&ALLOWANCES) {
        let left_out = allowance.lock().unwrap_or_else(PoisonError::into_inner).settle(Instant::now(), ends);
        tell(act, left_out);
    }
}

fn tell(act: Act, left_out: u64) {
    if left_out > 0 {
        tracing::info!(target: TARGET, act = act.name(), outcome = "left-out", left_out);
    }
}

#[cfg(test)]
mod tests;
