//! The way of a message through the gateway, stage by stage and nothing else: what valgrind counts. Prints how many messages it took.
//! Each stage is a function of its own that is never inlined, because valgrind finds it by name.

use std::{
    future::poll_fn,
    hint::black_box,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use chat_gateway::{
    auth::{Claims, TokenError, Tokens, names, oidc::Issuers},
    broker::MemoryExchange,
    codec::{Codec, Frame, Read},
    connection::{
        queue::{Next, Queue},
        session::Session,
    },
    delivery::Books,
    embedded,
    entrance::Entrance,
    hints::Hints,
    hub::{Following, Hub},
    limiter::LocalLimiter,
    live::Current,
    model::{EntryKind, Message, MessageId, RoomId, RoomKind, SessionId, User},
    pipeline::{Pipeline, frame::Reader},
    presence::MemoryPresence,
    protocol::ClientEvent,
    services::{Counters, Services},
    store::{NewRoom, NewUser, Store, memory::MemoryStore},
    traces::Tracer,
};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Messages of each stage. Programs of tests take three times the instructions, and each run of the tests waits for them.
const ROUNDS: usize = if cfg!(debug_assertions) { 200 } else { 1_000 };
/// Members that a message goes to.
const SESSIONS: usize = 100;

fn main() -> Result<()> {
    let stage = std::env::args().nth(1).context("name a stage: decode, accept, encode or fan_out")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match stage.as_str() {
            "decode" => frames().iter().for_each(|frame| drop(black_box(stage_decode(frame)))),
            "accept" => accept().await?,
            "encode" => messages().into_iter().for_each(|message| drop(black_box(stage_encode(message)))),
            "fan_out" => fan_out()?,
            other => bail!("no stage {other}"),
        }
        anyhow::Ok(())
    })?;
    println!("{ROUNDS}");
    Ok(())
}

/// A text frame becomes a request.
#[inline(never)]
fn stage_decode(frame: &Frame) -> Option<Vec<Read>> {
    Reader::new(Codec::Chat).read(black_box(frame))
}

/// A committed message becomes the frame that all members get.
#[inline(never)]
fn stage_encode(message: Message) -> Frame {
    Codec::Chat.event(&ClientEvent::Message { message: black_box(message).into() })
}

/// A request passes every stage of the pipeline: limits, rate, token, membership, idempotency, the commit to a store in memory, the answer,
/// and the hand-over to the room's worker.
#[inline(never)]
fn stage_accept<F: Future>(request: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    request.poll(context)
}

/// The frame goes into the queue of every member, and is taken out to be written.
#[inline(never)]
fn stage_fan_out(frame: &Frame, sessions: &[Arc<Session>]) -> usize {
    for session in sessions {
        black_box(session.push_message(frame.clone()));
    }
    sessions.iter().map(drain).sum()
}

/// Takes out what waits; how many frames that was.
fn drain(session: &Arc<Session>) -> usize {
    let Some(Next::Frames(batch)) = session.queue.next().now_or_never() else { return 0 };
    session.queue.written(batch.frames.iter().map(|frame| frame.len()).sum());
    batch.frames.len()
}

fn user(number: usize) -> User {
    let name = format!("user{number}");
    User { id: names::user_id(&name), display_name: name.clone(), name }
}

fn session(number: usize) -> Arc<Session> {
    Arc::new(Session::new(user(number), i64::MAX, Arc::new(Queue::default()), Arc::default()))
}

fn message(seq: usize) -> Message {
    let sender = user(0);
    Message {
        room: RoomId(Uuid::from_u128(7)),
        seq: i64::try_from(seq).unwrap_or(i64::MAX),
        message_id: MessageId(Uuid::now_v7()),
        sender: sender.id,
        sender_name: sender.name,
        body: "x".repeat(128),
        at: jiff::Timestamp::now(),
        kind: EntryKind::Text,
        target: None,
        reply_to: None,
        mentions: Vec::new(),
        edited_at: None,
        deleted: false,
    }
}

fn messages() -> Vec<Message> {
    (0..ROUNDS).map(message).collect()
}

fn frame(room: RoomId, number: usize) -> Frame {
    let (id, body) = (Uuid::now_v7(), "x".repeat(128));
    format!(r#"{{"type":"send","id":{number},"room":"{room}","message_id":"{id}","body":"{body}"}}"#).into()
}

fn frames() -> Vec<Frame> {
    (0..ROUNDS).map(|number| frame(RoomId(Uuid::from_u128(7)), number)).collect()
}

fn fan_out() -> Result<()> {
    let sessions: Vec<_> = (0..SESSIONS).map(session).collect();
    let frame = stage_encode(message(1));
    for _ in 0..ROUNDS {
        ensure!(stage_fan_out(&frame, &sessions) == SESSIONS, "a frame did not come through");
    }
    Ok(())
}

async fn accept() -> Result<()> {
    let store = Arc::new(MemoryStore::new());
    let (people, room) = ((0..SESSIONS).map(user), RoomId(Uuid::now_v7()));
    for user in people.clone() {
        store.create_user(NewUser { user, password_hash: String::new() }).await?;
    }
    let members = people.skip(1).collect();
    let creator = user(0).id;
    store
        .create_room(NewRoom { id: room, kind: RoomKind::Group, title: String::new(), creator, members }, None)
        .await?;
    let stop = CancellationToken::new();
    let (pipeline, hub) = pipeline(store, &stop)?;
    let session = session(0);
    hub.register(&session).await;
    hub.follow(&session, &[Following { room, cursor: 0, member_version: 0 }]).await;
    for number in 0..ROUNDS {
        let read = stage_decode(&frame(room, number)).and_then(|mut reads| reads.pop());
        let Some(Read::Request { tag: Some(tag), request }) = read else { bail!("not a request") };
        let tags = [tag];
        let mut request = Box::pin(pipeline.process(&session, &tags, request, None));
        poll_fn(|context| stage_accept(request.as_mut(), context)).await;
        // The worker delivers, and this task's share of the scheduler is renewed.
        let mut turns = 0;
        while drain(&session) < 1 {
            turns += 1;
            ensure!(turns < 1_000_000, "message {number} came back to nobody");
            tokio::task::yield_now().await;
        }
        // Nobody reads from a socket here, and on a busy machine this takes longer than a client may be silent.
        session.see(hub.second());
    }
    stop.cancel();
    Ok(())
}

fn pipeline(store: Arc<MemoryStore>, stop: &CancellationToken) -> Result<(Pipeline, Arc<Hub>)> {
    let folder = tempfile::tempdir()?;
    let address = ([127, 0, 0, 1], 0).into();
    let mut config = embedded::prepare(folder.path(), address, address)?;
    (config.limits.messages_per_second, config.limits.message_burst) = (100_000, 100_000);
    let (broker, deliveries) = MemoryExchange::new().join();
    let services = Arc::new(Services {
        gateway: "hotpath".into(),
        config: Arc::new(Current::new(config)),
        store,
        broker: Arc::new(broker),
        limiter: Arc::new(LocalLimiter::default()),
        presence: Arc::new(MemoryPresence::default()),
        tokens: Arc::new(NoTokens),
        issuers: Issuers::default(),
        counters: Arc::new(Counters::default()),
        books: Arc::new(Books::new(1_024)),
        entrance: Entrance::default(),
        hints: Hints::default(),
        tracer: Tracer::default(),
    });
    let hub = Hub::start(Arc::clone(&services), deliveries, stop);
    Ok((Pipeline::new(services, Arc::clone(&hub)), hub))
}

/// Nobody signs in here.
struct NoTokens;

#[async_trait]
impl Tokens for NoTokens {
    fn issue(&self, _: &User, _: SessionId) -> (String, u32) {
        (String::new(), 0)
    }

    async fn verify(&self, _: &str) -> Result<Claims, TokenError> {
        Err(TokenError::Invalid)
    }
}
