//! What the guarded functions say when they refuse, as a type.

use serde::Deserialize;
use sqlx::postgres::PgDatabaseError;

/// A refusal of a guarded function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// CC001: the slot is not here; ask `peer`.
    Moved {
        /// Name of the shard that has it now.
        peer: String,
        /// The slot's epoch there.
        epoch: i64,
        /// Whether it is on its way here. A peer that has given it away already cannot say more than that.
        arriving: bool,
    },
    /// CC002: the slot is about to move or to arrive; the same call works in a moment.
    Fenced,
    /// CC003: this shard does not own the slot and does not know who does.
    NotOwned,
    /// CC004: the transaction is not READ COMMITTED.
    WrongIsolation,
    /// CC101: no such room.
    RoomNotFound,
    /// CC102: not a member.
    NotMember,
    /// CC103: not allowed, because only the owner may.
    OwnerOnly,
    /// CC103: not allowed, because the room would have no owner.
    Ownerless,
    /// CC103: not allowed, because the member's role is too low to remove that one.
    RoleTooLow,
    /// CC103: not allowed, because somebody else sent the message.
    SenderOnly,
    /// CC103: not allowed, because the members of a direct room never change.
    DirectRoom,
    /// CC104: the name is taken.
    NameTaken,
    /// CC105: over a limit.
    Limit,
    /// CC105: too many reactions of one member to one message.
    TooManyReactions,
    /// CC106: no such member.
    UserNotFound,
    /// CC107: the message id was used for another message.
    MessageIdReused,
    /// CC107: the request id was used for another request.
    RequestIdReused,
    /// CC108: no such message, as the target of a change.
    TargetNotFound,
    /// CC108: no such message, as the one that is answered.
    ReplyToNotFound,
    /// CC108: no such reaction.
    ReactionNotFound,
}

#[derive(Deserialize)]
struct PeerDetail {
    peer: String,
    epoch: i64,
    /// Shards of earlier schemas do not tell.
    #[serde(default)]
    arriving: bool,
}

impl Refusal {
    /// The refusal that an error of the driver carries, if it is one.
    #[must_use]
    pub fn from_error(error: &sqlx::Error) -> Option<Self> {
        let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        Self::from_parts(error.code(), error.detail().unwrap_or_default())
    }

    fn from_parts(code: &str, detail: &str) -> Option<Self> {
        Some(match code {
            // A detail that cannot be read still says that the slot is elsewhere.
            "CC001" => match serde_json::from_str::<PeerDetail>(detail) {
                Ok(PeerDetail { peer, epoch, arriving }) => Self::Moved { peer, epoch, arriving },
                Err(_) => Self::NotOwned,
            },
            "CC002" => Self::Fenced,
            "CC003" => Self::NotOwned,
            "CC004" => Self::WrongIsolation,
            "CC101" => Self::RoomNotFound,
            "CC102" => Self::NotMember,
            "CC103" if detail.contains("direct") => Self::DirectRoom,
            "CC103" if detail.contains("ownerless") => Self::Ownerless,
            "CC103" if detail.contains("role") => Self::RoleTooLow,
            "CC103" if detail.contains("sender") => Self::SenderOnly,
            "CC103" => Self::OwnerOnly,
            "CC104" => Self::NameTaken,
            "CC105" if detail.contains("reactions") => Self::TooManyReactions,
            "CC105" => Self::Limit,
            "CC106" => Self::UserNotFound,
            "CC107" if detail.contains("request_id") => Self::RequestIdReused,
            "CC107" => Self::MessageIdReused,
            "CC108" if detail.contains("reply_to") => Self::ReplyToNotFound,
            "CC108" if detail.contains("emoji") => Self::ReactionNotFound,
            "CC108" => Self::TargetNotFound,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_peer_out_of_the_detail() {
        let moved = |arriving| Some(Refusal::Moved { peer: "b".into(), epoch: 7, arriving });
        assert_eq!(Refusal::from_parts("CC001", r#"{"peer" : "b", "epoch" : 7}"#), moved(false));
        assert_eq!(Refusal::from_parts("CC001", r#"{"peer" : "b", "epoch" : 7, "arriving" : true}"#), moved(true));
        assert_eq!(Refusal::from_parts("CC001", "?"), Some(Refusal::NotOwned));
        assert_eq!(Refusal::from_parts("23505", ""), None);
    }
}
