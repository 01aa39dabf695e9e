//! Finds the users that a request names.

use crate::{
    auth::names,
    model::{User, UserId},
    protocol::{ErrorCode, WireError, request::Who},
    store::Store,
};

/// Accounts that the store returns at once.
const USERS: usize = 200;

/// The id behind a name or id; no account needs to be there.
pub(super) fn id_of(who: &Who) -> UserId {
    match who {
        Who::Id(id) => *id,
        Who::Name(name) => names::user_id(name),
    }
}

/// The accounts, each once, in the order of their first mention.
///
/// # Errors
/// `not_found` with the first one that has no account.
pub(super) async fn find(store: &dyn Store, field: &'static str, wanted: &[Who]) -> Result<Vec<User>, WireError> {
    let mut ids: Vec<UserId> = Vec::with_capacity(wanted.len());
    for who in wanted {
        let id = id_of(who);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(USERS) {
        found.extend(store.users(chunk).await?);
    }
    for who in wanted {
        let id = id_of(who);
        // The operator's probe has an account, and is nobody's company.
        if names::is_probe(id) || !found.iter().any(|user| user.id == id) {
            let name = match who {
                Who::Id(id) => id.to_string(),
                Who::Name(name) => name.clone(),
            };
            return Err(WireError {
                field: Some(field),
                ..WireError::new(ErrorCode::NotFound, format!("no such user: {name}"))
            });
        }
    }
    found.sort_by_key(|user| ids.iter().position(|id| *id == user.id));
    Ok(found)
}
