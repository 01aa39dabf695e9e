//! Where the next range of a table ends.

use sqlx::AssertSqlSafe;

use crate::{
    error::MoveError,
    layout::Layout,
    shard::{Shard, failed},
    tables::Range,
};

/// The range of the next so many rows of a table, or bytes of them. It is open when it holds all the rows there are: what is
/// written behind it meanwhile is in the change log.
pub(crate) async fn next_range(
    shard: &mut Shard,
    layout: &Layout,
    slot: i32,
    after: Option<String>,
    rows: u32,
    bytes: u64,
) -> Result<Range, MoveError> {
    let table = layout.table;
    let rest = Range { after, upto: None };
    let (bounds, name) = (table.bounds(), table.name);
    let sql = format!(
        "select {position}, n = total and total < {rows} from ( \
             select {bounds}, row_number() over w as n, sum(size) over w as bytes, count(*) over () as total from ( \
                 select {bounds}, pg_column_size(t)::bigint as size from chat.{name} t where {condition} \
                 order by {bounds} limit {rows} \
             ) r window w as (order by {bounds}) \
         ) x where n = 1 or bytes <= {bytes} order by n desc limit 1",
        position = table.position(),
        condition = rest.condition(table, slot),
    );
    let found: Option<(String, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_optional(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "find the end of a chunk"))?;
    Ok(match found {
        Some((upto, false)) => Range { upto: Some(upto), ..rest },
        _ => rest,
    })
}
