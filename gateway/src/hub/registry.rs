//! The signed-in sessions of this gateway, by user.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{connection::session::Session, model::UserId};

/// Parts with a lock of their own, so that a scan of all sessions holds none of them for long.
const PARTS: usize = 32;

type Part = HashMap<UserId, Vec<Arc<Session>>>;

/// All sessions.
pub(super) struct Registry {
    parts: Vec<Mutex<Part>>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }

    /// Adds a session.
    pub(super) fn add(&self, session: &Arc<Session>) {
        self.part(session.user.id).entry(session.user.id).or_default().push(Arc::clone(session));
    }

    /// Removes a session.
    pub(super) fn remove(&self, session: &Session) {
        let mut part = self.part(session.user.id);
        if let Some(sessions) = part.get_mut(&session.user.id) {
            sessions.retain(|known| known.id != session.id);
            if sessions.is_empty() {
                part.remove(&session.user.id);
            }
        }
    }

    /// The sessions of one user.
    pub(super) fn of(&self, user: UserId) -> Vec<Arc<Session>> {
        self.part(user).get(&user).cloned().unwrap_or_default()
    }

    /// All sessions, part by part.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let mut all = Vec::new();
        self.for_each(|session| all.push(Arc::clone(session)));
        all
    }

    /// Visits all sessions; `visit` must not call the registry.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<Session>)) {
        for part in &self.parts {
            lock(part).values().flatten().for_each(&mut visit);
        }
    }

    fn part(&self, user: UserId) -> MutexGuard<'_, Part> {
        let byte = usize::from(user.0.as_bytes()[15]);
        lock(&self.parts[byte % PARTS])
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}
