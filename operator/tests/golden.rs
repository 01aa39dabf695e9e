//! The objects of every fixture cluster, kept as YAML. `cargo insta review`, or `INSTA_UPDATE=always cargo test`, takes
//! over a change that is meant; the diff of the snapshots is what a reviewer reads.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_operator::{
    build::{self, Child, ChildId, Kind},
    reconcile::{SigningKey, ValidatedCluster},
};
use serde_json::Value;

fn children(cluster: &ValidatedCluster) -> Vec<Child> {
    build::build(cluster).unwrap().children().unwrap()
}

fn objects(cluster: &ValidatedCluster) -> Vec<Value> {
    children(cluster).iter().map(|child| serde_json::to_value(&child.object).unwrap()).collect()
}

/// Pod templates of all children.
fn templates(cluster: &ValidatedCluster) -> Vec<Value> {
    let of =
        |object: Value| [object["spec"]["template"].clone(), object["spec"]["jobTemplate"]["spec"]["template"].clone()];
    objects(cluster).into_iter().flat_map(of).filter(Value::is_object).collect()
}

#[test]
fn objects_of_every_fixture() {
    for name in support::FIXTURES {
        let yaml: Vec<String> =
            objects(&support::migrated(name)).iter().map(|object| serde_yaml_ng::to_string(object).unwrap()).collect();
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "golden", omit_expression => true }, {
            insta::assert_snapshot!(name, yaml.join("---\n"));
        });
    }
}

#[test]
fn a_pause_changes_no_object() {
    for name in support::FIXTURES {
        let mut fetched = support::fetched(support::cluster(name));
        let before = support::validated(&fetched).unwrap();
        fetched.cluster.spec.paused = Some(true);
        assert_eq!(objects(&support::validated(&fetched).unwrap()), objects(&before), "{name}");
    }
}

#[test]
fn gateways_wait_for_their_migration() {
    let waiting = support::validated(&support::fetched(support::cluster("minimal"))).unwrap();
    let kinds: Vec<Kind> = children(&waiting).iter().map(|child| child.id.kind).collect();
    assert!(kinds.contains(&Kind::Job) && !kinds.contains(&Kind::Deployment), "{kinds:?}");
    assert!(children(&support::migrated("minimal")).iter().any(|child| child.id.kind == Kind::Deployment));
}

#[test]
fn every_child_carries_the_recommended_labels() {
    for name in support::FIXTURES {
        for object in objects(&support::migrated(name)) {
            let labels = &object["metadata"]["labels"];
            for label in ["name", "instance", "version", "component", "part-of", "managed-by"] {
                assert!(labels[format!("app.kubernetes.io/{label}")].is_string(), "{name}: {object}");
            }
            assert!(labels["chatcluster.dev/cluster"].is_string(), "{name}: {object}");
        }
    }
}

#[test]
fn every_child_has_one_controlling_owner_but_retained_data() {
    for name in support::FIXTURES {
        for object in objects(&support::migrated(name)) {
            let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            // That of an engine, or of certificates of the user's, opens nothing that their own Secrets would not open.
            let shard_secret = object["kind"] == "Secret"
                && !["engines", "client-certificates"].contains(&name)
                && object["metadata"]["labels"]["chatcluster.dev/shard"].is_string();
            let retained = (shard_secret || object["kind"] == "PersistentVolumeClaim") && name != "two-shards";
            if retained {
                assert!(owners.is_empty(), "{name}: {object}");
            } else {
                assert_eq!(owners.len(), 1, "{name}: {object}");
                assert_eq!((&owners[0]["controller"], &owners[0]["blockOwnerDeletion"]), (&true.into(), &true.into()));
            }
        }
    }
}

#[test]
fn pods_meet_pod_security_restricted() {
    for name in support::FIXTURES {
        for template in templates(&support::migrated(name)) {
            let pod = &template["spec"];
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}: {template}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["runAsUser"], 65_532);
            assert_eq!(pod["securityContext"]["fsGroup"], 65_532);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{name}: {container}");
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert_eq!(context["capabilities"]["drop"][0], "ALL");
                assert_eq!(container["imagePullPolicy"], "IfNotPresent");
                assert!(container["resources"].is_object());
            }
        }
    }
}

#[test]
fn gateway_pods_never_see_the_credentials_of_the_migration() {
    for name in support::FIXTURES {
        let cluster = support::migrated(name);
        for object in objects(&cluster).iter().filter(|object| object["kind"] == "Deployment") {
            let text = object.to_string();
            assert!(!text.contains("migrationUri"), "{name}: {text}");
        }
        let config = objects(&cluster)
            .into_iter()
            .find(|object| {
                let component = &object["metadata"]["labels"]["app.kubernetes.io/component"];
                object["kind"] == "ConfigMap" && component == "gateway"
            })
            .unwrap();
        assert!(!config.to_string().contains("migrationUri"), "{name}: {config}");
    }
}

/// What the gateways of the fixture read at their start.
fn gateway_config(name: &str) -> chat_gateway_config::GatewayConfig {
    let cluster = support::migrated(name);
    let revision = build::deployment_name(&cluster).unwrap();
    let config = children(&cluster).into_iter().find(|child| child.id == ChildId::new(Kind::ConfigMap, &revision));
    let object = serde_json::to_value(&config.unwrap().object).unwrap();
    serde_json::from_str(object["data"]["config.json"].as_str().unwrap()).unwrap()
}

#[test]
fn the_configuration_is_one_that_a_gateway_accepts() {
    for name in support::FIXTURES {
        for object in objects(&support::migrated(name)).iter().filter(|object| object["kind"] == "ConfigMap") {
            if object["metadata"]["labels"]["app.kubernetes.io/component"] == "balancer" {
                continue;
            }
            if let Some(json) = object["data"]["live.json"].as_str() {
                let live: chat_gateway_config::LiveConfig = serde_json::from_str(json).unwrap();
                assert_eq!(json, build::live_config(&support::migrated(name)).unwrap());
                live.over(&gateway_config(name)).validate().unwrap();
            } else {
                let json = object["data"]["config.json"].as_str().unwrap();
                let config: chat_gateway_config::GatewayConfig = serde_json::from_str(json).unwrap();
                config.validate().unwrap();
            }
        }
    }
}

#[test]
fn an_embedded_database_is_one_deployment_and_one_volume() {
    let mut cluster = support::cluster("embedded");
    // Without any migration: the gateway brings its file up to date itself.
    let built = support::validated(&support::fetched(cluster.clone())).unwrap();
    assert_eq!(build::migration_name(&built).unwrap(), None);
    let kinds: Vec<Kind> = children(&built).iter().map(|child| child.id.kind).collect();
    assert!(kinds.contains(&Kind::Deployment) && kinds.contains(&Kind::PersistentVolumeClaim), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| matches!(kind, Kind::StatefulSet | Kind::Job)), "{kinds:?}");

    let owners = |cluster: &chat_crds::ChatCluster| {
        let built = support::validated(&support::fetched(cluster.clone())).unwrap();
        let claim = objects(&built).into_iter().find(|object| object["kind"] == "PersistentVolumeClaim").unwrap();
        assert_eq!(claim["metadata"]["name"], "demo-data");
        claim["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(owners(&cluster), 0, "kept by default");
    cluster.spec.database.deletion_policy = Some(chat_crds::chat_cluster::DeletionPolicy::Delete);
    assert_eq!(owners(&cluster), 1, "taken by the garbage collector");
}

/// A migration and a mover carry no message, and a gateway that has nothing else to open may open a connection to its collector.
#[test]
fn traces_concern_gateways_only() {
    let tracing: chat_crds::chat_cluster::Tracing =
        serde_json::from_value(serde_json::json!({ "endpoint": "http://otel:4318" })).unwrap();
    for name in support::FIXTURES {
        let mut cluster = support::cluster(name);
        let before = support::migrated_from(support::fetched(cluster.clone()));
        cluster.spec.gateways.get_or_insert_default().tracing = Some(tracing.clone());
        let after = support::migrated_from(support::fetched(cluster));
        let changed: Vec<Value> =
            objects(&after).into_iter().filter(|object| !objects(&before).contains(object)).collect();
        for object in &changed {
            assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/component"], "gateway", "{name}: {object}");
        }
        let policy = changed.iter().find(|object| object["kind"] == "NetworkPolicy");
        assert_eq!(policy.is_some(), name == "embedded", "{name}: where egress is forbidden otherwise");
        if let Some(policy) = policy {
            assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress"]));
        }
        let config = changed.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        let config: chat_gateway_config::GatewayConfig =
            serde_json::from_str(config["data"]["config.json"].as_str().unwrap()).unwrap();
        assert_eq!(config.tracing.unwrap().sampling_rate_per_million, 10_000, "{name}");
    }
}

#[test]
fn a_gateway_that_is_alone_ends_before_its_successor_starts() {
    for name in support::FIXTURES {
        let cluster = support::migrated(name);
        let all = objects(&cluster);
        let find = |kind: &str| {
            all.iter().find(|object| {
                let component = &object["metadata"]["labels"]["app.kubernetes.io/component"];
                object["kind"] == kind && component == "gateway"
            })
        };
        let strategy = find("Deployment").unwrap()["spec"]["strategy"].clone();
        let alone = ["embedded", "in-process"].contains(&name);
        assert_eq!(strategy["type"] == "Recreate", alone, "{name}");
        let named = find("Deployment").unwrap()["metadata"]["name"] == cluster.names.gateway();
        assert_eq!(named, alone, "{name}: else each revision has one of its own");
        // A node with the only gateway can be drained all the same.
        let budget = find("PodDisruptionBudget").unwrap()["spec"].clone();
        assert_eq!(
            (&budget["maxUnavailable"], &budget["unhealthyPodEvictionPolicy"]),
            (&1.into(), &"AlwaysAllow".into())
        );
    }
}

/// A Deployment's selector cannot change, and gateways of an old revision read what they were made for.
#[test]
fn every_revision_has_a_deployment_and_a_config_map_of_its_own() {
    let names = |change: &dyn Fn(&mut ValidatedCluster)| {
        let mut cluster = support::migrated("minimal");
        change(&mut cluster);
        let all = children(&cluster);
        let of = |kind| {
            let mut ours = all.iter().filter(|child| child.id.kind == kind);
            ours.find(|child| child.id.name.starts_with("demo-gateway")).unwrap().id.name.clone()
        };
        assert_eq!(of(Kind::Deployment), of(Kind::ConfigMap));
        assert_eq!(of(Kind::Deployment), build::deployment_name(&cluster).unwrap());
        of(Kind::Deployment)
    };
    let first = names(&|_| {});
    assert_eq!(names(&|cluster| cluster.gateways.replicas = 9), first);
    assert_ne!(names(&|cluster| cluster.gateways.overlay.priority_class_name = Some("high".to_owned())), first);
    assert_ne!(names(&|cluster| cluster.gateways.drain_seconds += 1), first);
    let mut kept = support::migrated("minimal");
    kept.gateways.kept.insert("demo-gateway-old".to_owned());
    let held = build::build(&kept).unwrap().held;
    assert_eq!(held.len(), 2, "{held:?}");
}

/// What gateways take while they run is in the ConfigMap that all revisions have, and makes no other one: not a byte of a Deployment changes.
#[test]
fn what_running_gateways_take_leaves_their_deployment_as_it_is() {
    use chat_crds::chat_cluster::{ChatClusterSpec, Gateways, Limits, LogLevel, Passwords};
    type Change = fn(&mut ChatClusterSpec, &mut Gateways);
    let changes: [(&str, Change); 8] = [
        ("logLevel", |_, gateways| gateways.log_level = Some(LogLevel::Debug)),
        ("connectionsPerGateway", |_, gateways| gateways.connections_per_gateway = Some(77)),
        ("messagesPerSecond", |_, gateways| limits(gateways).messages_per_second = Some(3)),
        ("messageBurst", |_, gateways| limits(gateways).message_burst = Some(3)),
        ("messageBytes", |_, gateways| limits(gateways).message_bytes = Some(333)),
        ("roomsPerConnection", |_, gateways| limits(gateways).rooms_per_connection = Some(3)),
        ("allowedOrigins", |_, gateways| gateways.allowed_origins = vec!["https://new.example.org".to_owned()]),
        ("passwords", |spec, _| {
            let passwords = &mut spec.auth.get_or_insert_default().passwords;
            *passwords =
                Some(if *passwords == Some(Passwords::Disabled) { Passwords::Enabled } else { Passwords::Disabled });
        }),
    ];
    fn limits(gateways: &mut Gateways) -> &mut Limits {
        gateways.limits.get_or_insert_default()
    }
    for name in support::FIXTURES {
        let deployment = |cluster: &ValidatedCluster| {
            let name = build::deployment_name(cluster).unwrap();
            let found = children(cluster).into_iter().find(|child| child.id == ChildId::new(Kind::Deployment, &name));
            serde_json::to_string(&found.unwrap().object).unwrap()
        };
        let before = support::migrated(name);
        for (field, change) in &changes {
            let mut cluster = support::cluster(name);
            let mut gateways = cluster.spec.gateways.take().unwrap_or_default();
            change(&mut cluster.spec, &mut gateways);
            cluster.spec.gateways = Some(gateways);
            let after = support::migrated_from(support::fetched(cluster));
            assert_eq!(deployment(&after), deployment(&before), "{name}: {field}");
            assert_ne!(build::live_config(&after).unwrap(), build::live_config(&before).unwrap(), "{name}: {field}");
        }
        let mut rotated = before.clone();
        (rotated.signer, rotated.signing_keys) = ("new".to_owned(), vec!["new".to_owned(), before.signer.clone()]);
        if let SigningKey::Generated(pem) = &mut rotated.signing_key {
            *pem = chat_operator::sensitive::Sensitive::new("other");
        }
        assert_eq!(deployment(&rotated), deployment(&before), "{name}: keys");
        // What cannot be taken so makes a revision, as does the template.
        let mut drains = before.clone();
        drains.gateways.drain_seconds += 1;
        assert_ne!(deployment(&drains), deployment(&before), "{name}: drainSeconds");
    }
}

#[test]
fn a_secret_with_two_keys_gives_both_and_the_first_signs() {
    let mut fetched = support::fetched(support::cluster("everything"));
    let named = fetched.cluster.spec.auth.as_ref().unwrap().signing_key_secret_ref.clone().unwrap();
    let values = fetched.secrets.get_mut(&named.name).unwrap().as_mut().unwrap();
    let value = values.get_mut(named.key_or_default()).unwrap();
    let old = value.expose().to_owned();
    let new = old.replace("AAA\n-----END", "AAB\n-----END");
    *value = chat_operator::sensitive::Sensitive::new(format!("{new}{old}"));
    let before = support::migrated("everything");
    let after = support::validated(&fetched).unwrap();
    assert_eq!(after.signing_keys.len(), 2);
    assert_eq!((&after.signing_keys[1], &after.signer), (&before.signer, &after.signing_keys[0]));
    let bad = fetched.secrets.get_mut(&named.name).unwrap().as_mut().unwrap();
    bad.insert(named.key_or_default().to_owned(), chat_operator::sensitive::Sensitive::new("no key"));
    let error = support::validated(&fetched).unwrap_err().to_string();
    assert!(error.contains("openssl genpkey") && error.contains(&named.name), "{error}");
}

#[test]
fn building_twice_gives_the_same() {
    for name in support::FIXTURES {
        assert_eq!(objects(&support::migrated(name)), objects(&support::migrated(name)));
    }
}

#[test]
fn only_what_the_migration_uses_runs_it_again() {
    let name_of = |change: &dyn Fn(&mut chat_crds::ChatCluster)| {
        let mut cluster = support::cluster("minimal");
        change(&mut cluster);
        build::migration_name(&support::validated(&support::fetched(cluster)).unwrap()).unwrap()
    };
    let before = name_of(&|_| {});
    assert_eq!(before, name_of(&|cluster| cluster.spec.gateways.get_or_insert_default().replicas = Some(9)));
    assert_ne!(before, name_of(&|cluster| cluster.spec.image = Some("other:2".to_owned())));
    assert_ne!(before, name_of(&|cluster| cluster.spec.database.slots = Some(2_048)));
}

#[test]
fn a_version_of_the_operator_is_in_no_pod_template() {
    for name in support::FIXTURES {
        for template in templates(&support::migrated(name)) {
            assert!(template["metadata"]["labels"]["app.kubernetes.io/version"].is_null(), "{name}: {template}");
        }
    }
}
