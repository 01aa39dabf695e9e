//! Whole moves: under load, of slots of every kind, and what comes after.

use std::time::{Duration, Instant};

use chat_gateway::{
    model::Content,
    moves::{self, Job, MovesError, Task},
    store::{Page, SlotsQuestion, Store as _, View},
};
use chat_gateway_config::slots::ShardSlots;
use chat_shard_mover::{MoveError, Mover, Options, Plan, Point, Refusal, Step};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    cluster::Cluster,
    fixtures::{entry, group_as, say, sign_up_as},
    hook::Hook,
    ledger::{assert_whole, complaints},
    traffic::Traffic,
    world::{NAMES, SLOT, World},
};

pub(crate) async fn there_and_back_under_load() {
    let mut world = World::start().await;
    let traffic = Traffic::start(&world.store, 8).await;
    sleep(Duration::from_secs(1)).await;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let report = world.finish(World::plan()).await;
        pauses.push(report.pause_ms.expect("this mover handed the slot over"));
        println!("{report:?}");
        sleep(Duration::from_millis(300)).await;
    }
    let ledgers = traffic.stop().await;
    assert_eq!(
        world.state(world.owner, SLOT).await.map(|(state, epoch, _)| (state, epoch)),
        Some(("owned".to_owned(), 7))
    );
    let mut database = world.owner_admin().await;
    assert_whole(&mut database, SLOT, &ledgers).await;
    pauses.sort_unstable();
    println!("writes waited {pauses:?} ms");
    // With nobody writing, one more move has to bring over exactly what is there.
    let before = world.rows(world.owner, SLOT).await;
    world.finish(World::plan()).await;
    assert!(before == world.rows(world.owner, SLOT).await, "both shards have the same rows");
    assert_eq!((world.backlog(0).await, world.backlog(1).await), (0, 0), "no key is left behind");
    let mut database = world.owner_admin().await;
    every_fault_is_counted(&mut database, &ledgers).await;
}

/// A counter that finds nothing wrong has to be one that can.
async fn every_fault_is_counted(database: &mut sqlx::PgConnection, ledgers: &[crate::ledger::Ledger]) {
    let faults = [
        "delete from chat.messages where slot = {slot} and (room_id, seq) in (select room_id, max(seq) from chat.messages where slot = {slot} group by room_id limit 1)",
        "insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at) \
         select slot, room_id, last_seq + 1, gen_random_uuid(), gen_random_uuid(), '', '', now() from chat.rooms where slot = {slot} and last_seq > 0 limit 1",
        "update chat.messages m set message_id = case m.seq when 1 then b.message_id else a.message_id end \
         from chat.messages a, chat.messages b where a.slot = {slot} and a.seq = 1 and b.slot = {slot} and b.room_id = a.room_id and b.seq = 2 \
         and m.slot = {slot} and m.room_id = a.room_id and m.seq in (1, 2)",
        "update chat.messages set body = body || '!' where slot = {slot} and kind = 'text' and not deleted",
        "delete from chat.reactions where slot = {slot}",
        "update chat.members set read_seq = 0 where slot = {slot}",
        "delete from chat.sessions where slot = {slot}",
        "delete from chat.users where slot = {slot}",
        "update chat.user_rooms set version = version - 1 where slot = {slot}",
    ];
    for fault in faults {
        let mut transaction = database.begin().await.unwrap();
        // The swap breaks the rule of one message for an id half way.
        sqlx::raw_sql("alter table chat.messages drop constraint one_message_per_id")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let sql = fault.replace("{slot}", &SLOT.to_string());
        let changed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap().rows_affected();
        assert!(changed > 0, "{fault}");
        assert!(!complaints(&mut transaction, SLOT, ledgers).await.is_empty(), "nobody notices: {fault}");
        transaction.rollback().await.unwrap();
    }
    assert!(complaints(database, SLOT, ledgers).await.is_empty());
}

pub(crate) async fn with_nothing_in_it(world: &mut World) {
    let plan = Plan { slot: 6, ..World::plan() };
    let report = world.run(plan, Options::default(), &Hook::none()).await.unwrap();
    assert_eq!((report.rows, report.fences), (0, 1));
    let state = |row: Option<(String, i64, i64)>| row.map(|(state, epoch, _)| (state, epoch)).unwrap();
    assert_eq!(state(world.state(0, 6).await), ("moved".to_owned(), 2));
    assert_eq!(state(world.state(1, 6).await), ("owned".to_owned(), 2));
    // Again, it finds that all is done; another plan from there finds that the slot is gone.
    assert_eq!(world.run(plan, Options::default(), &Hook::none()).await.unwrap().fences, 0);
    let other = world.run(Plan { slot: 6, ..World::plan() }, Options::default(), &Hook::none()).await;
    assert!(matches!(other, Err(MoveError::Refused { refusal: Refusal::Moved, .. })), "{other:?}");
    let stale = Plan { slot: 7, move_id: Uuid::now_v7(), epoch: Some(9) };
    let stale = world.run(stale, Options::default(), &Hook::none()).await;
    assert!(matches!(stale, Err(MoveError::Refused { refusal: Refusal::OtherEpoch, .. })), "{stale:?}");
}

pub(crate) async fn with_edits_only(world: &mut World) {
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    say(&*world.store, room, ann.id, "the only text").await.unwrap();
    let store = world.store.clone();
    let id = ann.id;
    let edits = tokio::spawn(async move {
        let mut body = String::new();
        for n in 0..150 {
            body = format!("edit {n}");
            store.send(entry(room, id, Content::Edit { target: 1, body: body.clone() })).await.unwrap();
        }
        body
    });
    world.finish(World::plan()).await;
    let last = edits.await.unwrap();
    let found = world.store.history(room, ann.id, Page::Newest, View::Texts, 5).await.unwrap();
    assert_eq!((found.messages[0].body.as_str(), found.last_seq), (last.as_str(), 151));
}

pub(crate) async fn behind_a_long_transaction(world: &mut World) {
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    let mut admin = world.owner_admin().await;
    let mut long = admin.begin().await.unwrap();
    sqlx::query("select * from chat.send_message($1, $2, $3, $4, 'late', $5)")
        .bind(SLOT)
        .bind(room.0)
        .bind(Uuid::now_v7())
        .bind(ann.id.0)
        .bind(Uuid::now_v7())
        .execute(&mut *long)
        .await
        .unwrap();
    let started = Instant::now();
    let commit = async {
        sleep(Duration::from_millis(900)).await;
        long.commit().await.unwrap();
    };
    let hook = Hook::none();
    let ((), report) = tokio::join!(commit, world.run(World::plan(), World::options(), &hook));
    let report = report.unwrap();
    world.owner = 1 - world.owner;
    assert!(started.elapsed() >= Duration::from_millis(900), "the claim waits for writers that know nothing of it");
    assert!(report.pause_ms < Some(500), "but they wait for no fence: {report:?}");
    assert_eq!(world.store.room(room, ann.id).await.unwrap().last_seq, 1, "what it wrote has moved");
}

pub(crate) async fn cleaned_behind_the_move(world: &mut World) {
    let ann = sign_up_as(&*world.store, World::user_in(SLOT)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for n in 0..10 {
        say(&*world.store, room, ann.id, &format!("{n}")).await.unwrap();
    }
    let plan = World::plan();
    let mut early = world.mover(plan, World::options(), &Hook::none()).await.unwrap();
    let refused = early.clean(true).await;
    assert!(matches!(refused, Err(MoveError::Refused { refusal: Refusal::WrongState, .. })), "{refused:?}");
    let mut mover = world.mover(plan, World::options(), &Hook::none()).await.unwrap();
    mover.run().await.unwrap();
    let (source, destination) = (world.owner, 1 - world.owner);
    world.owner = destination;
    // What changes at the new owner afterwards is no mismatch; what is missing there is.
    say(&*world.store, room, ann.id, "later").await.unwrap();
    let refused = mover.clean(false).await;
    assert!(matches!(refused, Err(MoveError::Refused { refusal: Refusal::Unverified, .. })), "{refused:?}");
    let mut there = world.owner_admin().await;
    let take = "with gone as (delete from chat.messages where slot = $1 and room_id = $2 and seq = 3 returning *) \
        select jsonb_agg(to_jsonb(gone)) from gone";
    let taken: serde_json::Value =
        sqlx::query_scalar(take).bind(SLOT).bind(room.0).fetch_one(&mut there).await.unwrap();
    let refused = mover.clean(true).await;
    assert!(matches!(refused, Err(MoveError::Mismatch { table: "messages", .. })), "{refused:?}");
    let give = "insert into chat.messages select * from jsonb_populate_recordset(null::chat.messages, $1)";
    sqlx::query(give).bind(taken).execute(&mut there).await.unwrap();
    assert!(!world.rows(source, SLOT).await.is_empty());
    assert!(mover.clean(true).await.unwrap() > 0);
    assert!(world.rows(source, SLOT).await.is_empty());
    assert_eq!(world.state(source, SLOT).await.unwrap().0, "moved", "the tombstone stays");
    assert_eq!(world.store.history(room, ann.id, Page::Newest, View::Log, 20).await.unwrap().messages.len(), 11);
}

/// What the operator hears of a move from a gateway, from its copy to the cleaning behind it.
pub(crate) async fn told_to_the_operator(world: &mut World) {
    let slot = u32::try_from(SLOT).unwrap();
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for n in 0..10 {
        say(&*world.store, room, ann.id, &format!("{n}")).await.unwrap();
    }
    let (from, to) = (world.owner, 1 - world.owner);
    let ask = async |world: &World, since| {
        let answer = world.store.slots(SlotsQuestion { sizes: false, since }).await;
        let mut shards = answer.shards;
        assert!(shards.iter().all(|shard| shard.error.is_none()), "{shards:?}");
        let there = shards.remove(to);
        (shards.remove(0), there)
    };
    let begun = world.store.now();
    let plan = World::plan();
    let move_id = plan.move_id.to_string();
    let hook = Hook::park(Point::Before(Step::Drain));
    let look = async {
        hook.reached().await;
        for n in 0..5 {
            say(&*world.store, room, ann.id, &format!("meanwhile {n}")).await.unwrap();
        }
        let (here, there) = ask(world, None).await;
        hook.let_go();
        (here, there)
    };
    let (report, (here, there)) = tokio::join!(world.run(plan, World::options(), &hook), look);
    let report = report.unwrap();
    let leaving = here.leaving.iter().find(|transit| transit.slot == slot).expect("it is leaving");
    assert_eq!((leaving.state.as_str(), leaving.peer.as_str(), &leaving.move_id), ("migrating", NAMES[to], &move_id));
    assert!(leaving.backlog >= 5 && leaving.rows == 0, "{leaving:?}");
    assert!(here.owned.iter().any(|owned| (owned.first..=owned.last).contains(&slot)), "it is written there still");
    let arriving = there.arriving.iter().find(|transit| transit.slot == slot).expect("it is arriving");
    assert_eq!((arriving.state.as_str(), arriving.peer.as_str()), ("importing", NAMES[from]));
    assert_eq!((arriving.rows, arriving.bytes, arriving.backlog), (report.rows, report.bytes, 0));
    assert!(arriving.rows >= 10 && !there.moved.iter().any(|moved| moved.move_id == move_id));

    world.owner = to;
    let (here, there) = ask(world, None).await;
    assert!(here.leaving.is_empty() && there.arriving.is_empty());
    let owned = there.owned.iter().find(|owned| (owned.first..=owned.last).contains(&slot)).expect("it is there");
    assert!(owned.epoch > 1);
    let moved = |shard: &ShardSlots| shard.moved.iter().find(|moved| moved.move_id == move_id).cloned();
    let told = moved(&there).expect("its source is not clean yet");
    assert_eq!((told.slot, told.from.as_str(), told.rows, told.bytes), (slot, NAMES[from], report.rows, report.bytes));
    assert_eq!((told.pause_ms, told.cleaned), (report.pause_ms, false));
    assert!(told.at_ms >= begun.as_millisecond());
    assert!(report.pause_ms.is_some() && moved(&here).is_none());

    let (source, destination) = (world.shard(from).await.unwrap(), world.shard(to).await.unwrap());
    let mut mover = Mover::new(plan, source, destination, World::options(), Hook::none()).await.unwrap();
    mover.clean(true).await.unwrap();
    assert!(moved(&ask(world, None).await.1).is_none(), "nothing is left to do");
    assert!(moved(&ask(world, Some(begun)).await.1).is_some_and(|moved| moved.cleaned));
    sleep(Duration::from_millis(10)).await;
    let later = world.store.now();
    assert!(moved(&ask(world, Some(later)).await.1).is_none());

    // A month later the next move forgets it, and none that is still of use.
    let mut admin = world.owner_admin().await;
    let age = "update chat.moves set finished_at = finished_at - interval '31 days', cleaned_at = cleaned_at - interval '31 days'";
    sqlx::raw_sql(age).execute(&mut admin).await.unwrap();
    world.finish(World::plan()).await;
    world.finish(World::plan()).await;
    let left: Vec<Uuid> = sqlx::query_scalar("select move_id from chat.moves where slot = $1")
        .bind(SLOT)
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert!(!left.contains(&plan.move_id) && !left.is_empty(), "{left:?}");
}

pub(crate) async fn too_busy_for_the_limit(world: &mut World) {
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    let hook = Hook::park(chat_shard_mover::Point::Before(chat_shard_mover::Step::Drain));
    let options = Options { max_backlog: 20, fence_backlog: 1, ..World::options() };
    let write = async {
        hook.reached().await;
        for n in 0..10 {
            say(&*world.store, room, ann.id, &format!("{n}")).await.unwrap();
        }
        hook.let_go();
    };
    let (moved, ()) = tokio::join!(world.run(World::plan(), options, &hook), write);
    assert!(matches!(moved, Err(MoveError::Backlog { limit: 20, .. })), "{moved:?}");
    assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "owned");
    assert_eq!(world.backlog(world.owner).await, 0);
}

/// Rows that a move leaves at its source are the oldest there, and nobody may claim them.
pub(crate) async fn with_events_left_behind(world: &mut World) {
    const CLAIM: &str = "select slot from chat.claim_outbox('0', '10 s', 3)";
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for n in 0..10 {
        say(&*world.store, room, ann.id, &format!("{n}")).await.unwrap();
    }
    let source = world.owner;
    world.finish(World::plan()).await;
    let stays = if source == 0 { 20 } else { 40 };
    let other = group_as(&*world.store, World::room_in(stays), std::slice::from_ref(&ann)).await;
    let mut admin = world.cluster.admin(source).await;
    while !sqlx::query_scalar::<_, i32>(CLAIM).fetch_all(&mut admin).await.unwrap().is_empty() {}
    say(&*world.store, other, ann.id, "waits behind them").await.unwrap();
    let claimed: Vec<i32> = sqlx::query_scalar(CLAIM).fetch_all(&mut admin).await.unwrap();
    assert_eq!(claimed, [stays]);
}

pub(crate) async fn by_command(world: &World) {
    let job = |task, slots: &str, from: &str, to: &str| Job {
        task,
        slots: slots.parse().unwrap(),
        from: from.to_owned(),
        to: to.to_owned(),
        move_id: None,
        bytes_per_second: Some(100 << 20),
        source_standbys: 0,
        destination_standbys: 0,
        restore: false,
        json: true,
    };
    let config = &world.cluster.config;
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(9), std::slice::from_ref(&ann)).await;
    say(&*world.store, room, ann.id, "before").await.unwrap();
    let there = job(Task::Move, "8-10", "a", "b");
    moves::run(config, &there).await.unwrap();
    say(&*world.store, room, ann.id, "after").await.unwrap();
    for slot in 8..=10 {
        assert_eq!(world.state(1, slot).await.unwrap().0, "owned");
    }
    // Again, there is nothing to do, and nothing to give up any more.
    moves::run(config, &there).await.unwrap();
    let late = moves::run(config, &job(Task::Abort, "9", "a", "b")).await;
    assert!(matches!(&late, Err(error @ MovesError::Move { slot: 9, .. }) if error.reason() == "Refused"), "{late:?}");
    assert_eq!(there.done(), ("Moved", "slots 8-10 moved from shard a to shard b".to_owned()));
    moves::run(config, &job(Task::Clean, "8-10", "a", "b")).await.unwrap();
    assert!(world.rows(0, 9).await.is_empty());
    // While the owner's password is replaced the file has a line for each, and this one is let in by the second.
    let mut replacing = config.clone();
    let file = tempfile::NamedTempFile::new().unwrap();
    let uri = std::fs::read_to_string(config.database.shards[0].migration_uri_file.as_ref().unwrap()).unwrap();
    let nobody = uri.trim().replacen("//", "//nobody:x@", 1).replacen("@postgres", "@", 1);
    std::fs::write(file.path(), format!("{nobody}\n{uri}")).unwrap();
    replacing.database.shards[0].migration_uri_file = Some(file.path().to_owned());
    moves::run(&replacing, &job(Task::Move, "9", "b", "a")).await.unwrap();
    assert_eq!(world.store.history(room, ann.id, Page::Newest, View::Log, 5).await.unwrap().messages.len(), 2);
    let wrong = [("64", "a", "b", "--slots"), ("1", "c", "b", "--from"), ("1", "a", "a", "--to")];
    for (slots, from, to, argument) in wrong {
        let refused = moves::run(config, &job(Task::Move, slots, from, to)).await;
        let named = matches!(&refused, Err(error @ MovesError::Argument { argument: found, .. })
            if *found == argument && error.is_configuration() && error.reason() == "InvalidArgument");
        assert!(named, "{refused:?}");
    }
}
