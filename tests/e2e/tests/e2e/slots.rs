//! The first distribution of slots: two shards get one half each.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::shared::shared;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn two_shards_own_one_half_of_the_slots_each() -> Result<()> {
    let cluster = shared().await?;
    let mut shards = cluster.get().await?.data["status"]["shards"].clone();
    for shard in shards.as_array_mut().into_iter().flatten() {
        // What is in them depends on who has been here before.
        for field in ["rows", "bytes"] {
            shard.as_object_mut().and_then(|shard| shard.remove(field));
        }
    }
    let expected = json!([
        { "name": "a", "slots": 512, "available": true },
        { "name": "b", "slots": 512, "available": true },
    ]);
    ensure!(shards == expected, "the status says {shards}");
    let query = "select count(*), min(slot), max(slot) from chat.slot_ownership where state = 'owned'";
    for (shard, expected) in [("a", "512|0|511"), ("b", "512|512|1023")] {
        let found = cluster.sql(shard, query).await?;
        ensure!(found == expected, "shard {shard} owns {found}");
    }
    Ok(())
}
