//! Refusals about backups.

use serde_json::json;

use super::{Refusal, create};

pub(super) fn refusals() -> Vec<Refusal> {
    let volume = json!({ "claimName": "backups" });
    let backup = |more| json!({ "database": { "backup": more } });
    let complete = json!({ "cron": "0 3 * * *", "persistentVolumeClaim": volume });
    let restored = |backup: &str| {
        let restore = json!({ "persistentVolumeClaim": volume, "backup": backup });
        json!({ "database": { "shards": [{ "name": "a", "managed": { "storage": { "size": "1Gi" }, "restore": restore } }] } })
    };
    vec![
        create(
            "a backup without a time",
            backup(json!({ "persistentVolumeClaim": volume })),
            "spec.database.backup.cron",
        ),
        create(
            "a backup without a volume",
            backup(json!({ "cron": "0 3 * * *" })),
            "spec.database.backup.persistentVolumeClaim",
        ),
        create(
            "backups of which none is kept",
            backup(json!({ "cron": "0 3 * * *", "keep": 0, "persistentVolumeClaim": volume })),
            "spec.database.backup.keep",
        ),
        create(
            "a backup of nothing that is managed",
            json!({ "database": { "backup": complete, "shards": [{ "name": "a", "urlSecretRef": { "name": "a" } }] } }),
            "spec.database.backup: only managed shards are backed up, and there is none",
        ),
        create("a restore of no backup", restored("../secrets"), "managed.restore.backup"),
    ]
}
