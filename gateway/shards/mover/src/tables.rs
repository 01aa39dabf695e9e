//! The tables whose rows move with their slot, and the SQL that names their rows.

/// A column of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) column: &'static str,
    pub(crate) kind: &'static str,
}

const fn uuid(column: &'static str) -> Key {
    Key { column, kind: "uuid" }
}

const fn number(column: &'static str) -> Key {
    Key { column, kind: "bigint" }
}

const fn text(column: &'static str) -> Key {
    Key { column, kind: "text" }
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in the schema `chat`.
    pub(crate) name: &'static str,
    /// What the change log calls its rows.
    pub(crate) kind: &'static str,
    /// The primary key without the slot, in the order in which the change log writes it.
    pub(crate) key: &'static [Key],
    /// How many columns of the key bound a chunk. No text among them: two databases may sort texts differently.
    pub(crate) ordered: usize,
}

/// In the order in which they are copied: rooms last, so that no room is there before what is in it.
pub(crate) const TABLES: &[Table] = &[
    Table { name: "messages", kind: "message", key: &[uuid("room_id"), number("seq")], ordered: 2 },
    Table {
        name: "reactions",
        kind: "reaction",
        key: &[uuid("room_id"), number("target"), uuid("user_id"), text("emoji")],
        ordered: 3,
    },
    Table { name: "answers", kind: "answer", key: &[uuid("room_id"), uuid("message_id")], ordered: 2 },
    Table { name: "members", kind: "member", key: &[uuid("room_id"), uuid("user_id")], ordered: 2 },
    Table {
        name: "requests",
        kind: "request",
        key: &[uuid("room_id"), uuid("user_id"), uuid("request_id")],
        ordered: 3,
    },
    Table { name: "users", kind: "user", key: &[uuid("user_id")], ordered: 1 },
    Table { name: "user_rooms", kind: "user_room", key: &[uuid("user_id"), uuid("room_id")], ordered: 2 },
    Table { name: "sessions", kind: "session", key: &[uuid("user_id"), uuid("session_id")], ordered: 2 },
    Table { name: "outbox", kind: "outbox", key: &[uuid("id")], ordered: 1 },
    Table { name: "rooms", kind: "room", key: &[uuid("room_id")], ordered: 1 },
];

/// Tables with a column `slot` that are the mover's own, and stay where they are.
pub(crate) const BOOKS: &[&str] = &["slot_ownership", "slot_changes", "moves"];

impl Table {
    /// The columns that bound chunks.
    pub(crate) fn ordering(&self) -> &'static [Key] {
        &self.key[..self.ordered]
    }

    /// Whether no two rows stand at one position.
    pub(crate) fn is_fully_ordered(&self) -> bool {
        self.ordered == self.key.len()
    }

    /// `room_id, seq` of the columns that bound chunks.
    pub(crate) fn bounds(&self) -> String {
        names(self.ordering())
    }

    /// An expression for where a chunk ends, as [`Range`] reads it: texts that sort bytewise as their rows do.
    pub(crate) fn position(&self) -> String {
        let padded = |key: &Key| match key.kind {
            "bigint" => format!("lpad({}::text, 19, '0')", key.column),
            _ => format!("{}::text", key.column),
        };
        format!("concat_ws('/', {})", self.ordering().iter().map(padded).collect::<Vec<_>>().join(", "))
    }

    /// The key as the change log writes it, of the alias `t`.
    pub(crate) fn logged(&self) -> String {
        let columns: Vec<_> = self.key.iter().map(|key| format!("t.{}", key.column)).collect();
        format!("jsonb_build_array({})::text", columns.join(", "))
    }

    /// The columns of a key, out of an expression for what the change log calls it.
    pub(crate) fn columns_of(&self, key: &str) -> String {
        let column = |(nth, one): (usize, &Key)| format!("({key} ->> {nth})::{} as {}", one.kind, one.column);
        self.key.iter().enumerate().map(column).collect::<Vec<_>>().join(", ")
    }

    /// A relation `k` of the keys in a JSON array of the change log's keys, an expression.
    pub(crate) fn keys(&self, array: &str) -> String {
        format!("k as (select distinct {} from jsonb_array_elements({array}) as e)", self.columns_of("e"))
    }

    /// That `t` is a row of the slot, an expression, with a key of the relation `k`.
    pub(crate) fn is_key(&self, slot: &str) -> String {
        let same: Vec<_> = self.key.iter().map(|key| format!("t.{0} = k.{0}", key.column)).collect();
        format!("t.slot = {slot} and {}", same.join(" and "))
    }
}

fn names(keys: &[Key]) -> String {
    keys.iter().map(|key| key.column).collect::<Vec<_>>().join(", ")
}

/// Rows of a table after one position up to another, both as [`Table::position`] writes them; an open end is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) after: Option<String>,
    pub(crate) upto: Option<String>,
}

impl Range {
    /// A condition for a row of the slot to be in the range.
    pub(crate) fn condition(&self, table: &Table, slot: i32) -> String {
        let mut condition = format!("slot = {slot}");
        for (sign, position) in [(">", &self.after), ("<=", &self.upto)] {
            if let Some(position) = position {
                let parts = position.split('/').zip(table.ordering());
                let values: Vec<_> = parts.map(|(value, key)| format!("{}::{}", literal(value), key.kind)).collect();
                condition.push_str(&format!(" and ({}) {sign} ({})", table.bounds(), values.join(", ")));
            }
        }
        condition
    }
}

/// A text as SQL writes it; `standard_conforming_strings` is on in every session of the driver.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_bounded_by_the_columns_that_sort_alike_everywhere() {
        let reactions = &TABLES[1];
        assert_eq!(reactions.bounds(), "room_id, target, user_id");
        let range = Range { after: Some("a/0000000000000000007/b".to_owned()), upto: None };
        assert_eq!(
            range.condition(reactions, 3),
            "slot = 3 and (room_id, target, user_id) > ('a'::uuid, '0000000000000000007'::bigint, 'b'::uuid)"
        );
        assert_eq!(literal("it's"), "'it''s'");
    }
}
