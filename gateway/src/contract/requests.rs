//! The requests as the schemas describe them. `protocol::request` reads them by hand, so that each refusal names its field; a test drives
//! both with the same frames, and they must agree on every one.

use serde_json::{Map, Value, json};

use crate::protocol::limits;

/// A request.
pub(super) struct RequestKind {
    /// Its `type`.
    pub(super) name: &'static str,
    /// What it asks for.
    pub(super) about: &'static str,
    /// `type` of the answer when it is done.
    pub(super) answer: &'static str,
    fields: &'static [Field],
}

struct Field {
    name: &'static str,
    required: bool,
    takes: Takes,
    about: &'static str,
}

/// What a field takes.
enum Takes {
    /// Any text without U+0000.
    Text,
    /// The same, of so many characters at most.
    Title,
    /// A reaction.
    Emoji,
    /// The id of a room, a user, or a key.
    Id,
    /// A UUID of version 7.
    MessageId,
    /// A sign-in name or the id of a user.
    Who,
    /// A list of those.
    Whos,
    /// A list of user ids, of so many at most.
    Users(usize),
    /// A position from 0.
    Seq,
    /// The seq of an entry, from 1.
    Place,
    /// How many, at most this; the default.
    Limit(u32, u32),
    /// A time before the year 9999.
    Time,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Positions by room.
    Resume,
}

const fn need(name: &'static str, takes: Takes, about: &'static str) -> Field {
    Field { name, required: true, takes, about }
}

const fn may(name: &'static str, takes: Takes, about: &'static str) -> Field {
    Field { name, required: false, takes, about }
}

const ROOM: Field = need("room", Takes::Id, "The room.");
const MEMBER: Field = need("member", Takes::Who, "Whom, by sign-in name or id.");
const MESSAGE_ID: Field =
    need("message_id", Takes::MessageId, "Made by the client, the key of idempotency: a repeat gets the first answer.");
const REQUEST_ID: Field = may(
    "request_id",
    Takes::MessageId,
    "Made by the client, the key of idempotency: a repeat of the same user gets the first answer and does nothing.",
);
const TARGET: Field = need("target", Takes::Place, "Seq of the text.");
const BODY: Field = need("body", Takes::Text, "The text, of at most `limits.message_bytes` bytes.");
const EMOJI: Field = need("emoji", Takes::Emoji, "1 to 64 bytes without spaces.");
const SEQ: Field = need("seq", Takes::Seq, "Up to here. Lower than the stored value changes nothing.");

/// All requests, in the order of the page.
pub(super) const ALL: &[RequestKind] = &[
    RequestKind {
        name: "hello",
        about: "Signs in. The first request of a connection, within 10 seconds.",
        answer: "welcome",
        fields: &[
            need("token", Takes::Text, "An access token."),
            may("resume", Takes::Resume, "The last seq that the client has, by room."),
        ],
    },
    RequestKind {
        name: "create_room",
        about: "Makes a room. The direct room of a pair is made once; a repeat answers it.",
        answer: "room",
        fields: &[
            need("kind", Takes::OneOf(&["direct", "group"]), "A direct room has exactly one other member, for ever."),
            need("members", Takes::Whos, "The others, by sign-in names or ids."),
            may("title", Takes::Title, "Title of a group."),
            may("room_key", Takes::Id, "A UUID chosen by the client: a repeat with it returns the first room."),
            REQUEST_ID,
        ],
    },
    RequestKind {
        name: "add_member",
        about: "Adds somebody to a group.",
        answer: "ok",
        fields: &[ROOM, MEMBER, REQUEST_ID],
    },
    RequestKind {
        name: "remove_member",
        about: "Removes somebody from a group, or leaves it.",
        answer: "ok",
        fields: &[ROOM, MEMBER, REQUEST_ID],
    },
    RequestKind {
        name: "set_role",
        about: "Gives a member of a group another role, for its owner.",
        answer: "ok",
        fields: &[ROOM, MEMBER, need("role", Takes::OneOf(&["owner", "admin", "member"]), "The new role."), REQUEST_ID],
    },
    RequestKind {
        name: "mute",
        about: "Notes that notifications of a room are not wanted.",
        answer: "ok",
        fields: &[ROOM, may("until", Takes::Time, "Until when; for ever when absent."), REQUEST_ID],
    },
    RequestKind {
        name: "unmute",
        about: "Notes that they are wanted again.",
        answer: "ok",
        fields: &[ROOM, REQUEST_ID],
    },
    RequestKind {
        name: "rooms",
        about: "Lists the user's rooms, with what is new in them.",
        answer: "rooms",
        fields: &[
            may("after", Takes::Id, "`next` of the page before."),
            may("limit", Takes::Limit(limits::ROOMS_MAX, limits::ROOMS_MAX), "How many."),
        ],
    },
    RequestKind {
        name: "members",
        about: "Lists the members of a room, in the order of joining.",
        answer: "members",
        fields: &[
            ROOM,
            may("after", Takes::Seq, "`next` of the page before."),
            may("limit", Takes::Limit(limits::MEMBERS_MAX, limits::MEMBERS_DEFAULT), "How many."),
        ],
    },
    RequestKind {
        name: "send",
        about: "Puts a text into a room. It is committed before the answer.",
        answer: "sent",
        fields: &[
            ROOM,
            MESSAGE_ID,
            BODY,
            may("reply_to", Takes::Place, "Seq of the text that this one answers."),
            may("mentions", Takes::Users(limits::MENTIONS), "Users whom it addresses; who is no member is left out."),
        ],
    },
    RequestKind {
        name: "edit",
        about: "Gives one's own text another body.",
        answer: "sent",
        fields: &[ROOM, MESSAGE_ID, TARGET, BODY],
    },
    RequestKind {
        name: "delete",
        about: "Deletes one's own text; in a group owner and admins delete anybody's.",
        answer: "sent",
        fields: &[ROOM, MESSAGE_ID, TARGET],
    },
    RequestKind {
        name: "react",
        about: "Reacts to a text.",
        answer: "sent",
        fields: &[ROOM, MESSAGE_ID, TARGET, EMOJI],
    },
    RequestKind {
        name: "unreact",
        about: "Takes a reaction back.",
        answer: "sent",
        fields: &[ROOM, MESSAGE_ID, TARGET, EMOJI],
    },
    RequestKind {
        name: "history",
        about: "Reads a page of a room, in ascending seq. `before` and `after` exclude each other; with neither, the newest.",
        answer: "history",
        fields: &[
            ROOM,
            may("before", Takes::Seq, "Entries before this seq."),
            may("after", Takes::Seq, "Entries after this seq."),
            may("limit", Takes::Limit(limits::HISTORY_MAX, limits::HISTORY_DEFAULT), "How many."),
            may(
                "view",
                Takes::OneOf(&["texts", "log"]),
                "`texts` (when absent) are texts with their reactions, `log` is every entry.",
            ),
        ],
    },
    RequestKind {
        name: "typing_start",
        about: "Begins or renews typing; lapses after 6 seconds.",
        answer: "ok",
        fields: &[ROOM],
    },
    RequestKind { name: "typing_stop", about: "Ends typing.", answer: "ok", fields: &[ROOM] },
    RequestKind {
        name: "delivered",
        about: "Confirms that everything up to a seq arrived.",
        answer: "ok",
        fields: &[ROOM, SEQ],
    },
    RequestKind {
        name: "read",
        about: "Says that everything up to a seq was read.",
        answer: "ok",
        fields: &[ROOM, SEQ],
    },
    RequestKind {
        name: "presence",
        about: "Asks who is online.",
        answer: "presence_list",
        fields: &[need("users", Takes::Users(limits::PRESENCE_USERS), "Whom to ask for.")],
    },
    RequestKind { name: "ping", about: "Asks whether the connection lives.", answer: "pong", fields: &[] },
];

impl RequestKind {
    /// Its schema. More fields are allowed: the gateway ignores what it does not know.
    pub(super) fn schema(&self) -> Value {
        let mut properties = Map::new();
        properties.insert("type".into(), json!({ "type": "string", "const": self.name }));
        let id = "Number chosen by the client. The answer carries it as `re`; without it there is no answer, not even an error.";
        properties.insert(
            "id".into(),
            json!({ "type": "integer", "minimum": 0, "maximum": limits::REQUEST_ID_MAX, "description": id }),
        );
        let mut required = vec![json!("type")];
        for field in self.fields {
            let mut schema = field.takes.schema();
            schema.insert("description".into(), field.about.into());
            properties.insert(field.name.into(), schema.into());
            if field.required {
                required.push(field.name.into());
            }
        }
        let mut schema = json!({
            "type": "object", "description": self.about, "properties": properties, "required": required,
        });
        match self.name {
            "history" => schema["not"] = json!({ "required": ["before", "after"] }),
            "create_room" => {
                schema["if"] = json!({ "properties": { "kind": { "const": "direct" } } });
                schema["then"] = json!({ "properties": { "members": { "minItems": 1, "maxItems": 1 } } });
            }
            _ => {}
        }
        schema
    }
}

const NO_NUL: &str = "^[^\\u0000]*$";
const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";

impl Takes {
    fn schema(&self) -> Map<String, Value> {
        let id = json!({ "type": "string", "format": "uuid", "pattern": format!("^{UUID}$") });
        let who = json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": NO_NUL });
        let schema = match self {
            Self::Text => json!({ "type": "string", "pattern": NO_NUL }),
            Self::Title => json!({ "type": "string", "maxLength": limits::TITLE_CHARS, "pattern": NO_NUL }),
            Self::Emoji => {
                json!({ "type": "string", "minLength": 1, "maxLength": limits::EMOJI_BYTES, "pattern": "^[^\\u0000-\\u0020]+$" })
            }
            Self::Id => id,
            Self::MessageId => json!({
                "type": "string",
                "format": "uuid",
                "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
            }),
            Self::Who => who,
            Self::Whos => json!({ "type": "array", "items": who, "maxItems": limits::ROOM_MEMBERS }),
            Self::Users(most) => json!({ "type": "array", "items": id, "maxItems": most }),
            Self::Seq => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
            Self::Place => json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX }),
            Self::Limit(most, default) => {
                json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default })
            }
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::Resume => {
                let seq = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
                let entry = json!({
                    "type": "object", "properties": { "room": id, "seq": seq }, "required": ["room", "seq"],
                });
                json!({ "type": "array", "items": entry, "maxItems": limits::RESUME_ROOMS })
            }
        };
        if let Value::Object(schema) = schema { schema } else { Map::new() }
    }
}
