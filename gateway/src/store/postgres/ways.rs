//! The URIs of a shard's file that are known to be good. The operator takes another user when every gateway knows that the shard lets it in, and the one before
//! out when nobody comes by it any more.

use std::{collections::BTreeSet, time::Duration};

use chat_gateway_config::SecretLines;
use sqlx::{Connection as _, PgConnection};

use super::{connect, shard::Shard};

/// Bound of one try to connect.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of the lines of one file.
#[derive(Default)]
pub(super) struct Ways {
    /// Ids of lines by which the shard let somebody in. They are not tried again as long as they stand in the file.
    taken: BTreeSet<String>,
}

impl Ways {
    /// Tries those that are new, each on a connection of its own, and tells the shard which are good: the first when connections are made by it, the others when
    /// they were let in. A file that cannot be read says nothing new.
    pub(super) async fn look(&mut self, shard: &Shard, in_use: &str) {
        let Ok(uris) = connect::read_all(&shard.uri_file).await else { return };
        let ids: Vec<String> = uris.iter().map(|uri| SecretLines::id(uri)).collect();
        self.taken.retain(|id| ids.contains(id));
        let mut good = Vec::new();
        for (at, (uri, id)) in uris.iter().zip(ids).enumerate() {
            let is_good = if at == 0 { uri == in_use } else { self.taken.contains(&id) || lets_in(shard, uri).await };
            if is_good {
                if at > 0 {
                    self.taken.insert(id.clone());
                }
                good.push(id);
            }
        }
        shard.know_ways(good);
    }
}

/// Whether the shard lets somebody in by this URI, and has something to say then.
async fn lets_in(shard: &Shard, uri: &str) -> bool {
    let visit = async {
        let mut connection = PgConnection::connect_with(&connect::parse(&shard.uri_file, uri).ok()?).await.ok()?;
        sqlx::query("select from chat.overview()").execute(&mut connection).await.ok()?;
        connection.close().await.ok()
    };
    tokio::time::timeout(TRY_TIMEOUT, visit).await.is_ok_and(|outcome| outcome.is_some())
}
