//! The look inside the fence: whether rows that were drained in it are at the destination what they are at the source, and whether rooms end
//! where their entries do.

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};

use crate::{
    compare::printed,
    drain::Changed,
    error::MoveError,
    flush::{LOOK, Look},
    layout::Layout,
    lock::Begun,
    shard::failed,
    tables::literal,
};

const DOING: &str = "compare rows that were drained";

/// What is compared.
pub(crate) struct Prints<'a> {
    /// The name of each table, and the keys of its rows.
    of: Vec<(&'static str, &'a str)>,
    /// Expressions for the fingerprint of each table's rows.
    prints: Vec<String>,
    /// Expressions for rooms that are torn.
    torn: Vec<String>,
}

impl<'a> Prints<'a> {
    /// Of rows that were drained.
    pub(crate) fn of(layouts: &[Layout], slot: i32, changed: &'a [Changed]) -> Self {
        let prints = changed.iter().map(|one| print_keys(&layouts[one.nth], slot, &one.keys)).collect();
        let of: Vec<_> = changed.iter().map(|one| (layouts[one.nth].table.name, one.keys.as_str())).collect();
        let rooms = changed.iter().filter(|one| layouts[one.nth].table.name == "rooms");
        let torn = rooms.map(|one| torn_room(&layouts[one.nth], slot, &one.keys)).collect();
        Self { of, prints, torn }
    }

    /// The fingerprints at the source.
    pub(crate) async fn at_source(&self, source: &mut Begun<'_>) -> Result<Vec<Option<String>>, MoveError> {
        if self.of.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("select {}", self.prints.join(", "));
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *source.transaction).await;
        row.and_then(|row| texts(&row)).map_err(failed(source.shard, DOING))
    }

    /// Carries statements out at the destination, commits, and answers fingerprints and torn rooms as they are there, and a look at its standbys
    /// behind the commit.
    pub(crate) async fn behind<'c>(
        &self,
        destination: Begun<'c>,
        statements: &str,
    ) -> Result<(Begun<'c>, Vec<Option<String>>, Look), MoveError> {
        let looks: Vec<&str> = self.prints.iter().chain(&self.torn).map(String::as_str).collect();
        let (begun, rows) = destination.finish(&format!("{statements} select {}", looks.join(", ")), LOOK).await?;
        let read = || {
            let [prints, look] = rows.as_slice() else { return Err(sqlx::Error::RowNotFound) };
            Ok((texts(prints)?, Look::of(look)?))
        };
        let (texts, look) = read().map_err(failed(begun.shard, DOING))?;
        Ok((begun, texts, look))
    }

    /// The verdict.
    pub(crate) fn compare(
        &self,
        slot: i32,
        here: &[Option<String>],
        mut there: Vec<Option<String>>,
    ) -> Result<(), MoveError> {
        let torn = there.split_off(here.len().min(there.len()));
        let differs = here.iter().zip(&there).position(|(here, there)| here != there);
        if let Some((table, keys)) = differs.and_then(|nth| self.of.get(nth)) {
            return Err(MoveError::Mismatch { slot, table, key: (*keys).to_owned() });
        }
        match torn.into_iter().flatten().next() {
            Some(key) => Err(MoveError::Mismatch { slot, table: "rooms", key }),
            None => Ok(()),
        }
    }
}

fn texts(row: &PgRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    (0..row.len()).map(|nth| row.try_get(nth)).collect()
}

/// An expression for the fingerprint of the rows with these keys.
fn print_keys(layout: &Layout, slot: i32, keys: &str) -> String {
    let table = layout.table;
    format!(
        "(with {} select count(*)::text || encode(sha256(coalesce(string_agg(print, ''::bytea order by place), ''::bytea)), 'hex') \
         from (select {} from k join chat.{} t on {}) x)",
        table.keys(&format!("{}::jsonb", literal(keys))),
        printed(layout),
        table.name,
        table.is_key(&slot.to_string())
    )
}

/// An expression for a room with one of these keys that ends elsewhere than its entries do; null if there is none.
fn torn_room(layout: &Layout, slot: i32, keys: &str) -> String {
    format!(
        "(with {} select t.room_id::text from k join chat.rooms t on {} where t.last_seq <> coalesce( \
         (select m.seq from chat.messages m where m.slot = t.slot and m.room_id = t.room_id order by m.seq desc limit 1), 0) limit 1)",
        layout.table.keys(&format!("{}::jsonb", literal(keys))),
        layout.table.is_key(&slot.to_string())
    )
}
