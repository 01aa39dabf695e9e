//! Which columns the tables have, so that a row is copied whole or not at all.

use std::collections::BTreeMap;

use crate::{
    error::MoveError,
    shard::{Shard, failed},
    tables::{BOOKS, TABLES, Table},
};

/// The schema that rows in transit need, and the destination's record of the move.
const SCHEMA: i32 = 18;

/// A table and its columns, quoted, in the source's order.
pub(crate) struct Layout {
    pub(crate) table: &'static Table,
    pub(crate) columns: String,
    /// Which of them bound the table's chunks.
    pub(crate) ordering: Vec<usize>,
    prefixed: String,
}

impl Layout {
    #[cfg(test)]
    pub(crate) fn of_test(table: &'static Table, ordering: Vec<usize>) -> Self {
        Self { table, columns: String::new(), ordering, prefixed: String::new() }
    }

    /// A fingerprint of the row `t`: 32 bytes.
    pub(crate) fn fingerprint(&self) -> String {
        format!("sha256(convert_to(row({})::text, 'UTF8'))", self.prefixed)
    }
}

/// The tables in the order in which they are copied, after a look at both schemas.
///
/// A table or column that only one side has would be lost without a trace.
pub(crate) async fn check(source: &mut Shard, destination: &mut Shard) -> Result<Vec<Layout>, MoveError> {
    let ours = columns(source).await?;
    let theirs = columns(destination).await?;
    let problem = |shard: &Shard, problem: String| Err(MoveError::Schema { shard: shard.name.clone(), problem });
    for (shard, found) in [(&*source, &ours), (&*destination, &theirs)] {
        let known = |name: &str| BOOKS.contains(&name) || TABLES.iter().any(|table| table.name == name);
        if let Some(name) = found.keys().find(|name| !known(name)) {
            return problem(
                shard,
                format!("table chat.{name} is unknown to this mover; use the one of the newest gateway"),
            );
        }
    }
    let mut layouts = Vec::new();
    for table in TABLES {
        let Some(columns) = ours.get(table.name) else {
            return problem(source, format!("table chat.{} is missing; run chat-gateway migrate", table.name));
        };
        let sorted = |columns: &[String]| {
            let mut columns = columns.to_vec();
            columns.sort();
            columns
        };
        let there = theirs.get(table.name).map(|columns| sorted(columns)).unwrap_or_default();
        if sorted(columns) != there {
            let name = table.name;
            return problem(
                destination,
                format!("table chat.{name} has other columns than on shard {}; run chat-gateway migrate", source.name),
            );
        }
        let prefixed: Vec<_> = columns.iter().map(|column| format!("t.{column}")).collect();
        let place = |column: &str| columns.iter().position(|name| name == column);
        let Some(ordering) = table.ordering().iter().map(|key| place(key.column)).collect() else {
            return problem(source, format!("table chat.{} lacks a column of its key", table.name));
        };
        layouts.push(Layout { table, columns: columns.join(", "), ordering, prefixed: prefixed.join(", ") });
    }
    Ok(layouts)
}

/// Columns of every table with slots.
async fn columns(shard: &mut Shard) -> Result<BTreeMap<String, Vec<String>>, MoveError> {
    let version: Option<i32> = sqlx::query_scalar("select max(version)::integer from chat.migrations where success")
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "read the version of the schema"))?;
    let version = version.unwrap_or(0);
    if version < SCHEMA {
        let problem =
            format!("schema version {version} knows nothing of moves, which need {SCHEMA}; run chat-gateway migrate");
        return Err(MoveError::Schema { shard: shard.name.clone(), problem });
    }
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select c.relname::text, array_agg(quote_ident(a.attname) order by a.attnum) \
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
         where c.relnamespace = 'chat'::regnamespace and c.relkind in ('r', 'p') \
         group by c.relname having bool_or(a.attname = 'slot')",
    )
    .fetch_all(&mut shard.connection)
    .await
    .map_err(failed(&shard.name, "read the columns of the tables"))?;
    Ok(rows.into_iter().collect())
}
