//! The source's part of S3: rows are read in the order of their keys and cut into chunks, while the destination still writes the one before.

use futures::StreamExt as _;
use tokio::sync::mpsc::Sender;

use crate::{
    drain::count,
    error::MoveError,
    layout::Layout,
    shard::{Shard, failed},
    tables::Range,
    tuples::{HEADER, Malformed, TRAILER, Tuples, position},
};

/// Bytes that are sent together: the server sends a row at a time, and a packet for each would be most of the work.
pub(crate) const SENT: usize = 256 << 10;
/// Rows of the first statement of a table, of whose rows nobody knows yet how large they are.
const FIRST: u32 = 1_000;
/// Rows between two looks at the backlog.
const LOOK: u64 = 100_000;

/// A range of a table, and its rows.
pub(crate) struct Chunk {
    /// Which table, by its place.
    pub(crate) nth: usize,
    pub(crate) range: Range,
    pub(crate) rows: u64,
    /// A whole stream in the binary COPY format.
    pub(crate) bytes: Vec<u8>,
    /// Keys in the change log, if they were counted before it.
    pub(crate) backlog: Option<u64>,
}

/// What is read, and how much of it at once.
pub(crate) struct Reading<'a> {
    pub(crate) layouts: &'a [Layout],
    pub(crate) slot: i32,
    pub(crate) chunk_rows: u32,
    pub(crate) chunk_bytes: u64,
    pub(crate) max_backlog: u64,
}

/// Why reading ended early.
enum Ended {
    Failed(MoveError),
    /// Nobody takes chunks any more, and why is known there.
    Unwanted,
}

impl From<MoveError> for Ended {
    fn from(error: MoveError) -> Self {
        Self::Failed(error)
    }
}

impl Reading<'_> {
    /// Reads each table from its position on and hands out its chunks; the last one of a table is open. Ends when nobody takes them any
    /// more, and leaves the session usable then.
    pub(crate) async fn run(
        &self,
        source: &mut Shard,
        cursors: Vec<(usize, Option<String>)>,
        chunks: Sender<Chunk>,
    ) -> Result<(), MoveError> {
        let mut looked = None;
        let mut read = 0;
        for (nth, after) in cursors {
            match self.table(source, nth, after, &chunks, &mut looked, &mut read).await {
                Ok(()) => {}
                Err(Ended::Unwanted) => return Ok(()),
                Err(Ended::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    async fn table(
        &self,
        source: &mut Shard,
        nth: usize,
        mut after: Option<String>,
        chunks: &Sender<Chunk>,
        looked: &mut Option<u64>,
        read: &mut u64,
    ) -> Result<(), Ended> {
        let mut limit = FIRST.clamp(1, self.chunk_rows.max(1));
        loop {
            let mut backlog = None;
            if looked.is_none_or(|looked| *read >= looked + LOOK) {
                *looked = Some(*read);
                backlog = Some(count(source, self.slot, self.max_backlog).await?);
            }
            let mut cutter = Cutter::new(self, nth, after, backlog);
            let found = self.statement(source, &mut cutter, limit, chunks).await?;
            *read += u64::from(found.rows);
            if found.rows < limit {
                // All that there is; what is written behind it meanwhile is in the change log.
                return chunks.send(cutter.last()).await.map_err(|_| Ended::Unwanted);
            }
            let size = (found.bytes / u64::from(found.rows).max(1)).max(1);
            limit = u32::try_from(self.chunk_bytes / size).unwrap_or(u32::MAX).clamp(1, self.chunk_rows.max(1));
            let odd = |Malformed| self.malformed(source);
            let (chunk, upto) = cutter.cut().map_err(odd)?;
            after = Some(upto);
            chunks.send(chunk).await.map_err(|_| Ended::Unwanted)?;
        }
    }

    /// Reads so many rows. They are few enough to be one chunk, unless they are larger than those before them.
    async fn statement(
        &self,
        source: &mut Shard,
        cutter: &mut Cutter<'_>,
        limit: u32,
        chunks: &Sender<Chunk>,
    ) -> Result<Found, Ended> {
        let layout = &self.layouts[cutter.nth];
        let name = source.name.clone();
        let out = format!(
            "copy (select {} from chat.{} where {} order by {} fetch first {limit} rows {ties}) to stdout (format binary)",
            layout.columns,
            layout.table.name,
            cutter.rest().condition(layout.table, self.slot),
            layout.table.bounds(),
            // The next statement begins behind all rows at the position of the last.
            ties = if layout.table.is_fully_ordered() { "only" } else { "with ties" },
        );
        let mut stream = source.connection.copy_out_raw(&out).await.map_err(failed(&name, "read a chunk"))?;
        let (mut tuples, mut found, mut ready) = (Tuples::default(), Found::default(), Vec::new());
        let mut problem = None;
        let mut is_wanted = true;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(failed(&name, "read a chunk"))?;
            if problem.is_some() || !is_wanted {
                // To the end, for the session to be of use afterwards.
                continue;
            }
            let mut uncut = Ok(());
            let fed = tuples.feed(&piece, |row| {
                found.rows += 1;
                found.bytes += row.len() as u64;
                match cutter.add(row) {
                    Ok(chunk) => ready.extend(chunk),
                    Err(malformed) => uncut = Err(malformed),
                }
            });
            problem = fed.and(uncut).err();
            for chunk in ready.drain(..) {
                is_wanted &= chunks.send(chunk).await.is_ok();
            }
        }
        drop(stream);
        if !is_wanted {
            return Err(Ended::Unwanted);
        }
        problem.map_or_else(|| tuples.end(), Err).map_err(|Malformed| self.malformed(source))?;
        Ok(found)
    }

    fn malformed(&self, source: &Shard) -> MoveError {
        MoveError::Schema { shard: source.name.clone(), problem: Malformed.to_string() }
    }
}

/// What a statement brought.
#[derive(Default)]
struct Found {
    rows: u32,
    bytes: u64,
}

/// Makes chunks of rows.
struct Cutter<'a> {
    layout: &'a Layout,
    nth: usize,
    limits: (u64, usize),
    after: Option<String>,
    bytes: Vec<u8>,
    rows: u64,
    /// Where the last row begins.
    last: usize,
    backlog: Option<u64>,
}

impl<'a> Cutter<'a> {
    fn new(reading: &Reading<'a>, nth: usize, after: Option<String>, backlog: Option<u64>) -> Self {
        Self {
            layout: &reading.layouts[nth],
            nth,
            limits: (u64::from(reading.chunk_rows.max(1)), usize::try_from(reading.chunk_bytes).unwrap_or(usize::MAX)),
            after,
            bytes: HEADER.to_vec(),
            rows: 0,
            last: HEADER.len(),
            backlog,
        }
    }

    /// All that comes after the chunks so far.
    fn rest(&self) -> Range {
        Range { after: self.after.clone(), upto: None }
    }

    /// Takes the next row; the chunk that has no room for it.
    fn add(&mut self, row: &[u8]) -> Result<Option<Chunk>, Malformed> {
        let is_full = self.rows >= self.limits.0 || self.bytes.len() + row.len() > self.limits.1;
        let full = if is_full && self.rows > 0 && !self.is_tie(row)? { Some(self.take()?) } else { None };
        self.last = self.bytes.len();
        self.bytes.extend_from_slice(row);
        self.rows += 1;
        Ok(full)
    }

    /// Whether a row stands at the position of the last one: what is cut there would be neither in this chunk nor in the next.
    fn is_tie(&self, row: &[u8]) -> Result<bool, Malformed> {
        let Layout { table, ordering, .. } = self.layout;
        Ok(!table.is_fully_ordered()
            && position(&self.bytes[self.last..], table, ordering)? == position(row, table, ordering)?)
    }

    /// The rows so far as a chunk that ends with them.
    fn take(&mut self) -> Result<Chunk, Malformed> {
        let upto = position(&self.bytes[self.last..], self.layout.table, &self.layout.ordering)?;
        let room = self.bytes.len();
        let mut bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(room));
        self.bytes.extend_from_slice(HEADER);
        bytes.extend_from_slice(&TRAILER);
        let after = self.after.replace(upto.clone());
        let range = Range { after, upto: Some(upto) };
        let rows = std::mem::take(&mut self.rows);
        Ok(Chunk { nth: self.nth, range, rows, bytes, backlog: self.backlog.take() })
    }

    /// As [`take`](Self::take), with the position that the next statement begins after.
    fn cut(mut self) -> Result<(Chunk, String), Malformed> {
        let chunk = self.take()?;
        let upto = chunk.range.upto.clone().ok_or(Malformed)?;
        Ok((chunk, upto))
    }

    /// The rest, open to its end.
    fn last(mut self) -> Chunk {
        self.bytes.extend_from_slice(&TRAILER);
        let range = self.rest();
        Chunk { nth: self.nth, range, rows: self.rows, bytes: self.bytes, backlog: self.backlog }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TABLES;

    /// A reaction by the first digits of its room, target and user; the emoji is no part of its position.
    fn reaction(user: u128, emoji: &[u8]) -> Vec<u8> {
        let user = user.to_be_bytes();
        let fields: [&[u8]; 4] = [&[1; 16], &7_i64.to_be_bytes(), &user, emoji];
        let mut row = 4_i16.to_be_bytes().to_vec();
        for field in fields {
            row.extend_from_slice(&i32::try_from(field.len()).unwrap().to_be_bytes());
            row.extend_from_slice(field);
        }
        row
    }

    #[test]
    fn rows_at_one_position_stay_together() {
        let layouts = [Layout::of_test(&TABLES[1], vec![0, 1, 2])];
        let reading = Reading { layouts: &layouts, slot: 1, chunk_rows: 2, chunk_bytes: 1 << 20, max_backlog: 1 };
        let mut cutter = Cutter::new(&reading, 0, None, None);
        let rows = [(1, "a"), (2, "a"), (2, "b"), (2, "c"), (3, "a")];
        let chunks: Vec<u64> = rows
            .iter()
            .filter_map(|(user, emoji)| cutter.add(&reaction(*user, emoji.as_bytes())).unwrap())
            .map(|chunk| chunk.rows)
            .collect();
        assert_eq!((chunks, cutter.last().rows), (vec![4], 1));
    }
}
