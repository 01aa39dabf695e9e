//! How fast a large slot moves, beside the same rows through a plain COPY on the same machine.

use std::time::Instant;

use chat_shard_mover::Options;
use futures::StreamExt as _;
use uuid::Uuid;

use crate::{
    hook::Hook,
    world::{SLOT, World},
};

const ROWS: u32 = 200_000;

pub(crate) async fn beside_a_plain_copy() {
    let world = World::start().await;
    let mut here = world.cluster.admin(0).await;
    let mut there = world.cluster.admin(1).await;
    let room = Uuid::now_v7();
    let fill = "with texts as ( \
            insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at) \
            select $1, $2, n, gen_random_uuid(), gen_random_uuid(), 'somebody', repeat(md5(n::text), 5), clock_timestamp() \
            from generate_series(1, $3) n) \
        insert into chat.rooms (slot, room_id, kind, title, last_seq) values ($1, $2, 'group', 'large', $3)";
    sqlx::query(fill).bind(SLOT).bind(room).bind(i32::try_from(ROWS).unwrap()).execute(&mut here).await.unwrap();
    sqlx::raw_sql("create table public.plain (like chat.messages including all)").execute(&mut there).await.unwrap();
    let started = Instant::now();
    let mut reading = here.copy_out_raw("copy chat.messages to stdout (format binary)").await.unwrap();
    let mut writing = there.copy_in_raw("copy public.plain from stdin (format binary)").await.unwrap();
    let mut buffer = Vec::new();
    while let Some(piece) = reading.next().await {
        buffer.extend_from_slice(&piece.unwrap());
        if buffer.len() >= 256 << 10 {
            writing.send(buffer.as_slice()).await.unwrap();
            buffer.clear();
        }
    }
    writing.send(buffer.as_slice()).await.unwrap();
    writing.finish().await.unwrap();
    drop(reading);
    let plain = started.elapsed();
    let started = Instant::now();
    let report = world
        .run(World::plan(), Options { bytes_per_second: None, ..Options::default() }, &Hook::none())
        .await
        .unwrap();
    let whole = started.elapsed();
    let rate = |seconds: f64| (f64::from(ROWS) / seconds).round();
    println!(
        "plain COPY {} rows/s; copy of a move {} rows/s, {} bytes; whole move {whole:?}; writes waited {:?} ms",
        rate(plain.as_secs_f64()),
        rate(report.copy_ms as f64 / 1_000.0),
        report.bytes,
        report.pause_ms
    );
}
