//! Which key signs tokens while the keys change. Pure.
//!
//! A gateway refuses a token whose key it does not know. The files of the gateways change within a minute or two of each other, so a new key verifies
//! everywhere before it signs anywhere.

use chat_gateway_config::LiveConfig;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;

use super::{live::Live, observed::stays, validated::ValidatedCluster};
use crate::{build::Kind, names::path, poll::ClusterView};

/// Id of the key that signs: the first one in the Secret, as soon as every gateway has all of them, and the one before until then.
pub(super) fn signer(cluster: &ValidatedCluster, live: &Live, view: &ClusterView) -> String {
    let before = before(live, &cluster.names.gateway_live());
    choose(&cluster.signing_keys, before, &live.pods, view)
}

fn choose(keys: &[String], before: Option<String>, pods: &[Pod], view: &ClusterView) -> String {
    match before.filter(|before| keys.contains(before)) {
        Some(before) if !have_all(keys, pods, view) => before,
        // Where the one before is gone there is nothing to wait for: whoever removed it wants its tokens refused.
        _ => keys.first().cloned().unwrap_or_default(),
    }
}

/// What the gateways were told last.
fn before(live: &Live, name: &str) -> Option<String> {
    let config: ConfigMap = live.typed(Kind::ConfigMap, name)?;
    serde_json::from_str::<LiveConfig>(config.data?.get(path::LIVE_FILE)?).ok()?.signing_key
}

/// Whether every gateway that there is said that it has these keys, those included that start or end.
fn have_all(keys: &[String], pods: &[Pod], view: &ClusterView) -> bool {
    let has = |known: &[String]| keys.iter().all(|key| known.contains(key));
    view.asked
        && view.gateways.values().all(|stats| stats.live.as_ref().is_some_and(|taken| has(&taken.keys)))
        && pods.iter().filter(|pod| stays(pod)).all(|pod| view.gateways.contains_key(&pod.name_any()))
}

#[cfg(test)]
mod tests {
    use chat_gateway_config::stats::{GatewayStats, Taken};
    use serde_json::json;

    use super::*;
    use crate::poll::testing::{stats, view};

    fn ids(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn gateway(name: &str, keys: &[&str]) -> GatewayStats {
        let live = Some(Taken { keys: ids(keys), ..Taken::default() });
        GatewayStats { live, ..stats(name, 1, &[]) }
    }

    fn pods(names: &[&str]) -> Vec<Pod> {
        let pod = |name: &&str| {
            let labels = json!({ "app.kubernetes.io/component": "gateway" });
            serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
        };
        names.iter().map(pod).collect()
    }

    fn asked(gateways: &[GatewayStats]) -> ClusterView {
        ClusterView { asked: true, ..view(gateways) }
    }

    fn chosen(keys: &[&str], before: Option<&str>, there: &[&str], view: &ClusterView) -> String {
        choose(&ids(keys), before.map(str::to_owned), &pods(there), view)
    }

    #[test]
    fn a_new_key_signs_when_every_gateway_has_it() {
        let both = ["a", "b"];
        let half = asked(&[gateway("a", &["new", "old"]), gateway("b", &["old"])]);
        assert_eq!(chosen(&["new", "old"], Some("old"), &both, &half), "old");
        let all = asked(&[gateway("a", &["new", "old"]), gateway("b", &["old", "new"])]);
        assert_eq!(chosen(&["new", "old"], Some("old"), &both, &all), "new");
        assert_eq!(chosen(&["new", "old"], Some("new"), &both, &half), "new", "it does so already");
        assert_eq!(chosen(&["new", "old"], Some("old"), &["a", "b", "starts"], &all), "old");
        assert_eq!(chosen(&["new", "old"], Some("old"), &both, &ClusterView { asked: false, ..all }), "old");
    }

    #[test]
    fn a_gateway_that_says_nothing_of_keys_has_none_but_its_own() {
        let old = asked(&[gateway("a", &["new", "old"]), stats("b", 1, &[])]);
        assert_eq!(chosen(&["new", "old"], Some("old"), &["a", "b"], &old), "old");
    }

    #[test]
    fn without_the_key_before_or_without_gateways_there_is_nothing_to_wait_for() {
        let none = asked(&[gateway("a", &["old"])]);
        assert_eq!(chosen(&["new"], Some("old"), &["a"], &none), "new");
        assert_eq!(chosen(&["new", "old"], None, &["a"], &none), "new");
        assert_eq!(chosen(&["new", "old"], Some("old"), &[], &asked(&[])), "new");
    }
}
