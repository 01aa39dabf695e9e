//! As much load as two clients can send.

use anyhow::Result;
use chat_test_client::load::{Load, Progress};
use e2e::Crowd;

use crate::shared::shared;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn ten_thousand_messages_cross_exactly_once_in_order() -> Result<()> {
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 50).await?;
    let load = Load { messages: 10_000, in_flight: 32, body_bytes: 200, per_second: 0 };
    let report = crowd.chat(load, &Progress::default()).await?;
    crowd.judge("undisturbed", &report).assert_clean(10_000);
    Ok(())
}
