//! The audit log of the operator: each write of a child, each approval and each drain is one line that names the object and the generation of the ChatCluster
//! that it was done for, whatever the log filter says, and none says what is in an object.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chat_operator::{context::Context, names::ClusterKey, reconcile::reconcile};
use serde_json::{Value, json};

use support::{
    api_server::{ApiServer, Trouble, chat_cluster},
    audit_log::{AuditLog, shown},
};

/// A ChatCluster before a played API server, and what the operator logs of it on this thread.
struct World {
    server: ApiServer,
    context: Context,
    log: AuditLog,
}

impl World {
    async fn of(fixture: &str) -> Self {
        let log = AuditLog::start();
        let (server, client) = ApiServer::start(&support::cluster(fixture)).await;
        Self { server, context: support::context(client), log }
    }

    /// A pass, whatever comes of it.
    async fn pass(&self) {
        let pass = reconcile(&self.context, &ClusterKey::new("chat", "demo")).await;
        drop(pass);
    }

    /// Passes until what waits for migrations is there, too.
    async fn settle(&self) {
        for _ in 0..4 {
            self.pass().await;
            for (path, mut job) in self.server.list("/jobs/") {
                job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
                self.server.put(&path, job);
            }
        }
    }

    /// Changes the ChatCluster, as somebody with an editor.
    fn edit(&self, generation: i64, edit: impl FnOnce(&mut Value)) {
        let mut cluster = self.server.get(&chat_cluster("demo")).unwrap();
        edit(&mut cluster["spec"]);
        cluster["metadata"]["generation"] = json!(generation);
        self.server.put(&chat_cluster("demo"), cluster);
    }

    /// Writes of children that there were so far, and forgets them: kind and name.
    fn written(&self) -> Vec<String> {
        let writes = self.server.writes().into_iter();
        let children = writes.filter(|write| !write.path.contains("/chatclusters/") && !write.path.contains("/events"));
        let told = children.map(|write| {
            let name = write.path.rsplit('/').next().unwrap().split('?').next().unwrap();
            format!("{} {name}", write.body["kind"].as_str().unwrap_or_default())
        });
        let told = told.collect();
        self.server.kill(None);
        told
    }
}

fn objects(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["object"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_write_of_a_child_is_one_line_with_fields_of_the_page_and_no_content() {
    let world = World::of("minimal").await;
    world.settle().await;
    let text = world.log.text();
    let (records, written) = (world.log.take(), world.written());
    assert!(written.len() > 10 && written.iter().any(|write| write.starts_with("Secret ")), "{written:?}");
    assert_eq!(objects(&records), written, "as many lines as writes, in their order");
    for record in &records {
        let about = (&record["namespace"], &record["cluster"], &record["generation"], &record["outcome"]);
        assert_eq!(about, (&json!("chat"), &json!("demo"), &json!(1), &json!("done")), "{record}");
        assert!(["create", "change"].contains(&record["act"].as_str().unwrap()), "{record}");
    }
    let twice = objects(&records).iter().filter(|object| *object == "Secret demo-redis").count();
    assert_eq!(twice, 1, "what is there is not written again");

    let page = include_str!("../../docs/reference/audit.md").split_once("\n## Fields\n").unwrap().1;
    for field in records[0].as_object().unwrap().keys() {
        assert!(page.contains(&format!("| `{field}` |")), "docs/reference/audit.md lacks the field {field}");
    }
    let secrets = world.server.list("/secrets/");
    assert!(secrets.len() > 3, "{secrets:?}");
    for (path, secret) in secrets {
        for (key, value) in secret["data"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            let plain = String::from_utf8_lossy(&STANDARD.decode(value).unwrap()).into_owned();
            // A name that stands in the object's own name tells nothing.
            let tells = value.len() > 12 && (text.contains(value) || text.contains(&plain));
            assert!(!tells, "{key} of {path} is in the audit log");
        }
    }

    world.pass().await;
    assert_eq!(world.log.take(), Vec::<Value>::new(), "a settled ChatCluster has nothing to tell");
}

#[tokio::test]
async fn changes_and_deletions_name_the_generation_that_asked_for_them() {
    let world = World::of("minimal").await;
    world.settle().await;
    drop((world.log.take(), world.written()));

    let claim = json!({ "cron": "0 3 * * *", "persistentVolumeClaim": { "claimName": "chat-backups" } });
    world.edit(2, |spec| spec["database"]["backup"] = claim);
    world.settle().await;
    let records = world.log.take();
    let made: Vec<&Value> = records.iter().filter(|r| r["object"].as_str().unwrap().starts_with("CronJob ")).collect();
    assert!(made.len() == 1 && made[0]["act"] == "create" && made[0]["generation"] == 2, "{records:?}");

    world.edit(3, |spec| drop(spec["database"].as_object_mut().unwrap().remove("backup")));
    world.settle().await;
    let records = world.log.take();
    let gone: Vec<&Value> = records.iter().filter(|record| record["object"] == made[0]["object"]).collect();
    assert_eq!(
        gone.iter().map(|r| shown(r)).collect::<Vec<_>>(),
        [format!("delete {}: done", made[0]["object"].as_str().unwrap())]
    );
    assert_eq!(gone[0]["generation"], 3);

    world.edit(4, |spec| spec["gateways"] = json!({ "limits": { "messageBytes": 1234 } }));
    world.settle().await;
    let records = world.log.take();
    assert!(!records.is_empty() && records.iter().all(|r| r["act"] == "change" && r["generation"] == 4), "{records:?}");
}

#[tokio::test]
async fn what_the_api_server_forbids_is_denied() {
    let world = World::of("minimal").await;
    world.settle().await;
    drop(world.log.take());
    world.server.remove("/apis/apps/v1/namespaces/chat/statefulsets/demo-redis").unwrap();
    let trouble = Trouble { code: 403, reason: "Forbidden", message: "text-of-a-policy", only_children: true };
    world.server.trouble(Some(trouble));
    world.pass().await;
    let text = world.log.text();
    let records = world.log.take();
    assert_eq!(records.iter().map(shown).collect::<Vec<_>>(), ["create StatefulSet demo-redis: denied"]);
    assert_eq!(records[0]["reason"], "forbidden");
    assert!(!text.contains("text-of-a-policy"), "what others say is not passed on");
    world.server.trouble(None);
    world.pass().await;
    let told: Vec<String> = world.log.take().iter().map(shown).collect();
    assert_eq!(told, ["create StatefulSet demo-redis: done"]);
}
