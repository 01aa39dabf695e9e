//! Managed RabbitMQ, Redis and shards, as far as passwords go, and the tests that they change while gateways run.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chat_gateway_config::SecretLines;
use serde_json::{Value, json};

use super::{World, support::api_server::Write};

pub(super) const RABBITMQ: &str = "/api/v1/namespaces/chat/secrets/demo-rabbitmq";
pub(super) const REDIS: &str = "/api/v1/namespaces/chat/secrets/demo-redis";
pub(super) const SHARD: &str = "/api/v1/namespaces/chat/secrets/demo-shard-a";
/// Under which the owner of the shard is known; nothing but migrations comes as it.
pub(super) const OWNER: &str = "the owner of the shard";
/// Where gateways find the ways to shards.
pub(super) const SHARDS: &str = "/api/v1/namespaces/chat/secrets/demo-gateway-shards";

/// URIs by the Secret that they stand in, a line each.
pub(super) type Ways = BTreeMap<&'static str, Vec<String>>;

/// A server and its node.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    /// Who is let in, with which password.
    accounts: Vec<(String, String)>,
    /// Passes that a change of the Secret takes to get here, and those that are over.
    lag: usize,
    waited: usize,
}

fn lines(secret: &Value, key: &str) -> Vec<String> {
    let data = secret["data"][key].as_str().unwrap_or_default();
    String::from_utf8(STANDARD.decode(data).unwrap()).unwrap().lines().map(str::to_owned).collect()
}

fn ways_of(path: &str, secret: &Value) -> Vec<String> {
    let keys = BTreeMap::from([(REDIS, "url"), (SHARDS, "a")]);
    lines(secret, keys.get(path).unwrap_or(&"uri"))
}

/// Who is let in by a server that has read this Secret.
fn accounts_of(secret: &Value) -> Vec<(String, String)> {
    let passwords = lines(secret, "password");
    let mut users = lines(secret, "username");
    users.resize(passwords.len(), String::new());
    users.into_iter().zip(passwords).collect()
}

/// User and password of a URI of the operator's.
fn account(uri: &str) -> (String, String) {
    let (_, rest) = uri.split_once("://").unwrap();
    let (account, _) = rest.split_once('@').unwrap();
    let (user, password) = account.split_once(':').unwrap();
    (user.to_owned(), password.to_owned())
}

impl World {
    /// What gateways that start now find.
    pub(super) fn ways(&self) -> Ways {
        let is_managed = |path: &&str| *path != SHARDS || self.server.get(SHARD).is_some();
        let found = |path| Some((path, ways_of(path, &self.server.get(path)?)));
        [RABBITMQ, REDIS, SHARDS].into_iter().filter(is_managed).filter_map(found).collect()
    }

    /// A migration comes to its end: the shard lets in whom the Secret names, and nobody else, and the owner by the last line. Without the key that it is to mount
    /// its pod waits.
    pub(super) fn migrate(&self, job: &Value) -> bool {
        let Some(secret) = self.server.get(SHARD) else { return true };
        let mounts = |key: &&String| job["spec"].to_string().contains(&format!("\"{key}\""));
        let keys = secret["data"].as_object().unwrap().keys().filter(|key| key.starts_with("uri"));
        // Every Job has a file called `uri`.
        let Some(key) = keys.filter(mounts).max_by_key(|key| key.len()) else { return false };
        let job_is_named = job["spec"].to_string().contains("\"uri-");
        if job_is_named && key == "uri" {
            return false;
        }
        let [accounts, owners]: [Vec<_>; 2] =
            [key.as_str(), "migrationUri"].map(|key| lines(&secret, key).iter().map(|uri| account(uri)).collect());
        let mut servers = self.servers.lock().unwrap();
        let is_let_in = servers.get(OWNER).is_none_or(|owner| owners.iter().any(|one| owner.accounts.contains(one)));
        assert!(is_let_in, "a migration is not let in");
        let of_owner = Server { accounts: owners.last().cloned().into_iter().collect(), ..Server::default() };
        servers.insert(OWNER, of_owner);
        servers.insert(SHARDS, Server { accounts, ..Server::default() });
        true
    }

    /// Kubelets bring changed Secrets to the servers; whether one did.
    pub(super) fn serve(&self) -> bool {
        let mut works = false;
        for path in [RABBITMQ, REDIS] {
            let Some(secret) = self.server.get(path) else { continue };
            let accounts = accounts_of(&secret);
            let mut servers = self.servers.lock().unwrap();
            let server =
                servers.entry(path).or_insert_with(|| Server { accounts: accounts.clone(), ..Server::default() });
            if server.accounts != accounts {
                works = true;
                server.waited += 1;
                if server.waited > server.lag {
                    (server.accounts, server.waited) = (accounts, 0);
                }
            }
        }
        works
    }

    /// Ids of those that a gateway with these lines knows to be good, and whether the server takes the one that is in use.
    pub(super) fn tried(&self, path: &str, ways: &[String]) -> (Vec<String>, bool) {
        let servers = self.servers.lock().unwrap();
        let takes = |way: &String| servers.get(path).is_some_and(|server| server.accounts.contains(&account(way)));
        let good = ways.iter().enumerate().filter(|(at, way)| *at == 0 || takes(way));
        (good.map(|(_, way)| SecretLines::id(way)).collect(), ways.first().is_none_or(takes))
    }

    /// The shard lets in who comes by these URIs, that of gateways and the owner's, every gateway does, and none was refused on the way.
    pub(super) fn knows_only(&self, uri: &str, owner: &str, place: &str) {
        assert_eq!(self.servers.lock().unwrap()[SHARDS].accounts, [account(uri)], "{place}");
        assert_eq!(self.servers.lock().unwrap()[OWNER].accounts, [account(owner)], "{place}");
        let ways = vec![uri.to_owned()];
        assert!(self.gateways.lock().unwrap().values().all(|gateway| gateway.ways[SHARDS] == ways), "{place}");
        assert_eq!(*self.refused.lock().unwrap(), [""; 0], "{place}");
    }

    /// They have another password than before, which everybody knows, and nobody was refused on the way.
    fn have_other_passwords(&self, before: &Ways, request: &str, place: &str) {
        for (path, old) in before {
            let secret = self.server.get(path).unwrap();
            let ways = ways_of(path, &secret);
            let ([way], [old]) = (ways.as_slice(), old.as_slice()) else { panic!("{place}: {ways:?}") };
            assert_ne!(account(way).1, account(old).1, "{place}");
            assert_eq!(accounts_of(&secret), [account(way)], "{place}");
            assert_eq!(self.servers.lock().unwrap()[path].accounts, [account(way)], "{place}");
            let annotations = &secret["metadata"]["annotations"];
            assert_eq!(annotations["chatcluster.dev/rotated"], request, "{place}");
            assert_eq!(annotations["chatcluster.dev/rotation"], Value::Null, "{place}");
        }
        let ways = self.ways();
        assert!(self.gateways.lock().unwrap().values().all(|gateway| gateway.ways == ways), "{place}");
        assert_eq!(*self.refused.lock().unwrap(), [""; 0], "{place}");
    }
}

fn asks(path: &str, object: &mut Value, request: &str) {
    if [RABBITMQ, REDIS].contains(&path) {
        object["metadata"]["annotations"]["chatcluster.dev/rotate"] = json!(request);
    }
}

fn managed(spec: &mut Value) {
    spec["broker"] = json!({ "rabbitmq": { "managed": {} } });
    spec["redis"] = json!({ "managed": {} });
}

#[tokio::test]
async fn passwords_of_rabbitmq_and_redis_are_replaced_while_the_operator_dies_at_each_of_its_writes() {
    let world = World::with(true, managed).await;
    let (before, templates) = (world.ways(), world.templates());
    assert_eq!((before.len(), templates.len()), (2, 3), "{before:?} {:?}", templates.keys());
    let begin = |(of_gateways, of_servers)| {
        world.servers.lock().unwrap().values_mut().for_each(|server| server.lag = of_servers);
        world.lags(of_gateways);
        world.ask(|path, object| asks(path, object, "1"));
    };
    let wrote = |writes: &[Write]| {
        for path in [RABBITMQ, REDIS] {
            assert_eq!(writes.iter().filter(|write| write.path == path).count(), 3, "{writes:#?}");
        }
    };
    let lags = [([0, 0], 0), ([0, 4], 2), ([3, 1], 5)];
    world.dies_at_each_write(lags, begin, wrote, |place| world.have_other_passwords(&before, "1", place)).await;
    // The second time the first user has its turn again.
    world.server.kill(None);
    let first = world.ways();
    world.ask(|path, object| asks(path, object, "2"));
    world.course(true).await;
    world.have_other_passwords(&first, "2", "once more");
    assert_eq!(account(&world.ways()[RABBITMQ][0]).0, account(&before[RABBITMQ][0]).0);
    assert_eq!(world.templates(), templates);
}

#[tokio::test]
async fn a_server_that_was_made_by_an_operator_before_is_waited_for() {
    let world = World::with(true, managed).await;
    let before = world.ways();
    // What it made had no word of following.
    for (path, mut set) in world.server.list("/statefulsets/") {
        set["spec"]["template"]["spec"]["containers"][0]["env"] = json!([]);
        world.server.put(&path, set);
    }
    let context = world.operator();
    for path in [RABBITMQ, REDIS] {
        let mut secret = world.server.get(path).unwrap();
        asks(path, &mut secret, "1");
        world.server.put(path, secret);
    }
    context.poller.forget(&super::key());
    drop(chat_operator::reconcile::reconcile(&context, &super::key()).await.unwrap());
    assert_eq!(world.ways(), before);
}

#[tokio::test]
async fn gateways_that_do_not_try_their_lines_are_waited_for() {
    let world = World::with(false, managed).await;
    let (before, templates) = (world.ways(), world.templates());
    world.ask(|path, object| asks(path, object, "1"));
    world.course(false).await;
    assert_eq!((world.ways(), world.templates()), (before.clone(), templates.clone()));
    for path in [RABBITMQ, REDIS] {
        assert_eq!(world.server.get(path).unwrap()["metadata"]["annotations"]["chatcluster.dev/rotation"], "Waiting");
    }
    world.each(|gateway| gateway.follows = true);
    world.course(true).await;
    world.have_other_passwords(&before, "1", "they try them");
    assert_eq!(world.templates(), templates);
}
