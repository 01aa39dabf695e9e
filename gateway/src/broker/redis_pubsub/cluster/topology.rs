//! Which node owns which slots.

use std::time::Duration;

use chat_gateway_config::HostPort;
use redis::{RedisError, Value, aio::MultiplexedConnection, from_redis_value};
use tokio::time::timeout;

use crate::broker::redis_pubsub::reason::SessionError;

/// Time for an answer. Any node can be asked, so one that hesitates is passed by.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What one node knows of all.
pub(super) struct Topology(Vec<Range>);

struct Range {
    first: u16,
    last: u16,
    owner: HostPort,
}

impl Topology {
    /// Asks a node that was reached under `host`.
    pub(super) async fn ask(connection: &mut MultiplexedConnection, host: &str) -> Result<Self, SessionError> {
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let answer = timeout(PATIENCE, question.query_async(connection)).await;
        let ranges: Vec<Vec<Value>> = answer.map_err(|_| SessionError::Timeout("naming the owners of slots"))??;
        Ok(Self(ranges.into_iter().filter_map(|range| Range::read(range, host).transpose()).collect::<Result<_, _>>()?))
    }

    /// The owner of a slot; `None` for one that nobody owns, or whose owner's address nobody knows.
    pub(super) fn owner(&self, slot: u16) -> Option<&HostPort> {
        self.0.iter().find(|range| (range.first..=range.last).contains(&slot)).map(|range| &range.owner)
    }
}

impl Range {
    /// First and last slot, then the owner and its replicas, each as address, port and more.
    fn read(range: Vec<Value>, asked: &str) -> Result<Option<Self>, RedisError> {
        let mut range = range.into_iter();
        let (Some(first), Some(last), Some(owner)) = (range.next(), range.next(), range.next()) else {
            return Ok(None);
        };
        let mut owner = from_redis_value::<Vec<Value>>(owner)?.into_iter();
        let (Some(host), Some(port)) = (owner.next(), owner.next()) else {
            return Ok(None);
        };
        // No address stands for the one that the question went to, a question mark for one that is not known.
        let host = from_redis_value::<Option<String>>(host)?.filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| asked.to_owned());
        if host == "?" {
            return Ok(None);
        }
        let owner = (host, from_redis_value(port)?);
        Ok(Some(Self { first: from_redis_value(first)?, last: from_redis_value(last)?, owner }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::BulkString(value.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: Value) -> Vec<Value> {
        let node = vec![host, Value::Int(7_000), text("id"), Value::Array(Vec::new())];
        vec![Value::Int(first), Value::Int(last), Value::Array(node)]
    }

    #[test]
    fn owners_are_read_and_gaps_stay_gaps() {
        let ranges = [range(0, 9, text("a")), range(20, 29, Value::Nil), range(30, 39, text("?")), Vec::new()];
        let read = ranges.into_iter().filter_map(|one| Range::read(one, "asked").unwrap());
        let topology = Topology(read.collect());
        let owner = |slot| topology.owner(slot).map(|(host, _)| host.as_str());
        assert_eq!([owner(9), owner(10), owner(20), owner(35)], [Some("a"), None, Some("asked"), None]);
    }
}
