//! The binary format of COPY, as far as its rows have to be told apart.

use uuid::Uuid;

use crate::tables::{Key, Table};

/// What a stream of rows begins with: the signature, no flags, and no extension of the header.
pub(crate) const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of the next row's count of columns.
pub(crate) const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// The stream is not what PostgreSQL writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's COPY is not of the known binary format")]
pub(crate) struct Malformed;

/// Tells the rows of a stream apart, however it was cut into pieces.
#[derive(Default)]
pub(crate) struct Tuples {
    /// What is not yet a whole row.
    rest: Vec<u8>,
    has_begun: bool,
    has_ended: bool,
}

impl Tuples {
    /// Takes the next piece and hands out each row that it completes.
    pub(crate) fn feed(&mut self, piece: &[u8], mut row: impl FnMut(&[u8])) -> Result<(), Malformed> {
        // A server sends a row at a time, so that nearly never is anything left over.
        if self.rest.is_empty() {
            let used = self.split(piece, &mut row)?;
            self.rest.extend_from_slice(&piece[used..]);
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(piece);
            let used = self.split(&rest, &mut row)?;
            rest.drain(..used);
            self.rest = rest;
        }
        Ok(())
    }

    /// Whether the stream has come to its end.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.has_ended && self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// How many bytes were whole rows.
    fn split(&mut self, bytes: &[u8], row: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut used = 0;
        if !self.has_begun {
            if bytes.len() < HEADER.len() {
                return Ok(0);
            }
            if !bytes.starts_with(HEADER) {
                return Err(Malformed);
            }
            self.has_begun = true;
            used = HEADER.len();
        }
        while !self.has_ended {
            match length(&bytes[used..])? {
                None => return Ok(used),
                Some(0) => {
                    self.has_ended = true;
                    used += TRAILER.len();
                }
                Some(length) => {
                    row(&bytes[used..used + length]);
                    used += length;
                }
            }
        }
        if used == bytes.len() { Ok(used) } else { Err(Malformed) }
    }
}

/// Bytes of the row that these begin with; 0 for the end of the stream, none for a row that is not whole.
fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(count) = bytes.first_chunk().map(|count| i16::from_be_bytes(*count)) else { return Ok(None) };
    if count == -1 {
        return Ok(Some(0));
    }
    let mut at = 2;
    for _ in 0..u16::try_from(count).map_err(|_| Malformed)? {
        match field(bytes, at)? {
            Some((_, next)) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// The column that begins here (null is empty), and where the next one does; none when it is not whole.
fn field(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    let begin = at + 4;
    let Some(size) = bytes.get(at..begin).and_then(|size| size.first_chunk()) else { return Ok(None) };
    let size = match i32::from_be_bytes(*size) {
        -1 => 0,
        size => usize::try_from(size).map_err(|_| Malformed)?,
    };
    Ok(bytes.get(begin..begin + size).map(|value| (value, begin + size)))
}

/// Where a row stands in the order of its table, as [`Table::position`] writes it. `columns`: which ones bound the table's chunks.
pub(crate) fn position(row: &[u8], table: &Table, columns: &[usize]) -> Result<String, Malformed> {
    let mut values = Vec::new();
    let mut at = 2;
    for _ in 0..=columns.iter().copied().max().unwrap_or(0) {
        let (value, next) = field(row, at)?.ok_or(Malformed)?;
        values.push(value);
        at = next;
    }
    let texts: Result<Vec<String>, Malformed> =
        table.ordering().iter().zip(columns).map(|(key, column)| text(key, values[*column])).collect();
    Ok(texts?.join("/"))
}

fn text(key: &Key, value: &[u8]) -> Result<String, Malformed> {
    match key.kind {
        "bigint" => {
            let number = i64::from_be_bytes(*value.as_array().ok_or(Malformed)?);
            Ok(format!("{number:019}"))
        }
        _ => Uuid::from_slice(value).map(|id| id.to_string()).map_err(|_| Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TABLES;

    fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for value in fields {
            let size = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            bytes.extend_from_slice(&size.to_be_bytes());
            bytes.extend_from_slice(value.unwrap_or_default());
        }
        bytes
    }

    #[test]
    fn rows_are_told_apart_however_they_arrive() {
        let rows = [row(&[Some(b"a"), None]), row(&[Some(b""), Some(&[7; 300])]), row(&[])];
        let mut stream = HEADER.to_vec();
        rows.iter().for_each(|row| stream.extend_from_slice(row));
        stream.extend_from_slice(&TRAILER);
        for size in [1, 2, 3, 19, 20, 100, stream.len()] {
            let (mut tuples, mut found) = (Tuples::default(), Vec::new());
            for piece in stream.chunks(size) {
                tuples.feed(piece, |row| found.push(row.to_vec())).unwrap();
            }
            assert_eq!((found.as_slice(), tuples.end()), (rows.as_slice(), Ok(())), "in pieces of {size}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_or_goes_on_is_refused() {
        let ignore = |_: &[u8]| {};
        let mut short = Tuples::default();
        short.feed(HEADER, ignore).unwrap();
        assert_eq!(short.end(), Err(Malformed));
        let mut long = Tuples::default();
        long.feed(&[HEADER.as_slice(), &TRAILER].concat(), ignore).unwrap();
        assert_eq!((long.end(), long.feed(b"x", ignore)), (Ok(()), Err(Malformed)));
        assert_eq!(Tuples::default().feed(&[b'x'; 19], ignore), Err(Malformed));
        assert_eq!(
            Tuples::default().feed(&[HEADER.as_slice(), &[0, 1, 0xff, 0xff, 0xff, 0xfe]].concat(), ignore),
            Err(Malformed)
        );
    }

    #[test]
    fn positions_are_those_that_the_database_writes() {
        let room = Uuid::from_u128(0xabc);
        let row = row(&[Some(&[0; 4]), Some(room.as_bytes()), Some(&70_i64.to_be_bytes()), None]);
        let found = position(&row, &TABLES[0], &[1, 2]).unwrap();
        assert_eq!(found, "00000000-0000-0000-0000-000000000abc/0000000000000000070");
        assert_eq!(position(&row, &TABLES[0], &[1, 3]), Err(Malformed), "a null is no number");
    }
}
