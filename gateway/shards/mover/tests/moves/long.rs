//! The long run as a test: short, or five minutes long with `CHATCLUSTER_LONG=1`; and that its checker finds what can be wrong.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _};

use crate::soak::{self, Goal, checker};

pub(crate) async fn nothing_is_lost_and_the_checker_would_notice() {
    let is_long = std::env::var("CHATCLUSTER_LONG").is_ok_and(|value| value == "1");
    let goal = if is_long {
        let limit = Duration::from_secs(300);
        // More of everything than fits: the time ends it.
        Goal { writes: 10_000_000, cut_overs: 10_000, kills: 5_000, shards: 4, slots: 256, limit }
    } else {
        // The goal ends it; the limit is for a run that hangs.
        let limit = Duration::from_secs(600);
        Goal { writes: 6_000, cut_overs: 12, kills: 12, shards: 3, slots: 32, limit }
    };
    let (report, shards, acknowledged) = soak::run(goal).await;
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    assert!(report.complaints.is_empty(), "{:?}", report.complaints);
    assert!(is_long || report.is_complete, "the goal of the short run was not reached in ten minutes");
    assert!(report.cut_overs > 0 && report.movers_killed > 0, "there was something to check");
    let (room, slot, owner) = checker::a_room(&shards, &acknowledged, 3).await.expect("a room with three messages");
    let mut database = shards.admin(owner).await;
    assert!(checker::of_room(&mut database, &acknowledged, slot, room).await.is_empty());
    let faults = [
        "delete from chat.messages where {room} and seq = 2",
        "delete from chat.messages where {room} and seq = (select max(seq) from chat.messages where {room})",
        "insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at) \
         select slot, room_id, last_seq + 1, (select message_id from chat.messages where {room} and seq = 1), gen_random_uuid(), '', '', now() \
         from chat.rooms where {room}",
        "update chat.messages m set message_id = case m.seq when 1 then b.message_id else a.message_id end \
         from chat.messages a, chat.messages b where a.{room} and a.seq = 1 and b.{room} and b.seq = 2 and m.{room} and m.seq in (1, 2)",
        "update chat.rooms set last_seq = last_seq + 1 where {room}",
    ];
    for fault in faults {
        let mut transaction = database.begin().await.unwrap();
        // Two of them break the rule of one message for an id, for good or half way.
        sqlx::raw_sql("alter table chat.messages drop constraint one_message_per_id")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let prefixed = |alias: &str| format!("{alias}slot = {slot} and {alias}room_id = '{room}'");
        let sql = ["a.", "b.", "m."]
            .iter()
            .fold(fault.to_owned(), |sql, alias| sql.replace(&format!("{alias}{{room}}"), &prefixed(alias)));
        let sql = sql.replace("{room}", &prefixed(""));
        let changed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap().rows_affected();
        assert!(changed > 0, "{fault}");
        let found = checker::of_room(&mut transaction, &acknowledged, slot, room).await;
        assert!(!found.is_empty(), "nobody notices: {fault}");
        transaction.rollback().await.unwrap();
    }
}
