//! What stands in front of the gateways: the objects of each kind of way in, and what is said where one cannot be made.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_operator::{
    build::{self, Kind},
    poll::AddressTemplate,
    reconcile::{Dereferenced, ValidateError, ValidatedCluster, expected_children, referenced_secrets},
    sensitive::Sensitive,
};
use serde_json::{Value, json};

fn fetched(expose: Value) -> Dereferenced {
    let mut fetched = support::fetched(support::cluster("minimal"));
    fetched.cluster.spec.gateways.get_or_insert_default().expose = Some(serde_json::from_value(expose).unwrap());
    fetched
}

fn exposed(expose: Value) -> ValidatedCluster {
    support::migrated_from(fetched(expose))
}

fn objects(cluster: &ValidatedCluster) -> Vec<Value> {
    let children = build::build(cluster).unwrap().children().unwrap();
    children.iter().map(|child| serde_json::to_value(&child.object).unwrap()).collect()
}

fn object(cluster: &ValidatedCluster, kind: &str, name: &str) -> Value {
    let found = objects(cluster).into_iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn config(cluster: &ValidatedCluster) -> String {
    object(cluster, "ConfigMap", "demo-haproxy")["data"]["haproxy.cfg"].as_str().unwrap().to_owned()
}

fn problem(fetched: &Dereferenced) -> (&'static str, String) {
    match support::validated(fetched) {
        Err(ValidateError::Unmet(problem)) => (problem.reason, problem.message),
        other => panic!("{other:?}"),
    }
}

/// The objects of the ways in that are one object more, or another Service.
#[test]
fn objects_of_every_way_in() {
    let ways = [
        (
            "load-balancer",
            json!({ "type": "LoadBalancer", "loadBalancer": {
                "loadBalancerClass": "example.com/lb", "annotations": { "example.com/scheme": "internal" },
            } }),
            "Service",
        ),
        ("load-balancer-plain", json!({ "type": "LoadBalancer" }), "Service"),
        (
            "ingress",
            json!({ "type": "Ingress", "ingress": {
                "host": "chat.example.org", "ingressClassName": "nginx", "tlsSecretRef": { "name": "chat-tls" },
                "annotations": { "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600" },
            } }),
            "Ingress",
        ),
        (
            "http-route",
            json!({ "type": "HTTPRoute", "httpRoute": {
                "parentRefs": [{ "name": "public", "namespace": "gateways", "sectionName": "https" }, { "name": "own" }],
                "hostnames": ["chat.example.org"], "annotations": { "example.com/team": "chat" },
            } }),
            "HTTPRoute",
        ),
    ];
    for (name, way, kind) in ways {
        let object = object(&exposed(way), kind, "demo-gateway");
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "golden", omit_expression => true }, {
            insta::assert_snapshot!(format!("way-in-{name}"), serde_yaml_ng::to_string(&object).unwrap());
        });
    }
}

#[test]
fn an_absent_block_and_cluster_ip_are_what_was_there_before() {
    let before = objects(&support::migrated("minimal"));
    assert_eq!(objects(&exposed(json!({ "type": "ClusterIP" }))), before);
}

/// Gateways are told by the operator while they run, so nothing that is built knows of it and none restarts.
#[test]
fn hints_change_no_object() {
    let plain = exposed(json!({ "type": "ClusterIP" }));
    let hints = exposed(json!({ "type": "ClusterIP", "hints": { "address": "ws://{podIP}:{port}" } }));
    assert_eq!(hints.gateways.hints, Some(AddressTemplate::new("ws://{podIP}:{port}")));
    assert_eq!(plain.gateways.hints, None);
    assert_eq!(objects(&hints), objects(&plain));
}

#[test]
fn names_of_children_are_known_before_they_are_built() {
    for expose in [
        json!({ "type": "HAProxy" }),
        json!({ "type": "Ingress", "ingress": { "host": "a.example" } }),
        json!({ "type": "HTTPRoute", "httpRoute": { "parentRefs": [{ "name": "a" }] } }),
    ] {
        let fetched = fetched(expose.clone());
        let expected = expected_children(&fetched.cluster);
        for child in build::build(&support::migrated_from(fetched)).unwrap().children().unwrap() {
            let hashed = ["demo-migrate-", "demo-gateway-"].iter().any(|part| child.id.name.starts_with(part));
            let fixed = child.id.name == "demo-gateway-pods";
            assert!((hashed && !fixed) || expected.contains(&child.id), "{}: {expose}", child.id);
        }
    }
}

/// It reads its configuration once, so that replaces the pods; nothing else does, least of all another gateway. A renewed certificate is followed.
#[test]
fn the_tier_is_replaced_for_its_configuration_only() {
    let template = |change: &dyn Fn(&mut Dereferenced)| {
        let mut fetched = support::fetched(support::cluster("haproxy"));
        change(&mut fetched);
        object(&support::migrated_from(fetched), "Deployment", "demo-haproxy")["spec"]["template"].clone()
    };
    let before = template(&|_| {});
    for key in ["tls.crt", "tls.key"] {
        let renewed = template(&|fetched| {
            let values = fetched.secrets.get_mut("my-certificate").unwrap().as_mut().unwrap();
            let text = format!("{}# renewed\n", values[key].expose());
            values.insert(key.to_owned(), Sensitive::new(text));
        });
        assert_eq!(renewed, before, "{key}");
    }
    let gateways =
        |fetched: &mut Dereferenced| fetched.cluster.spec.gateways.get_or_insert_default().replicas = Some(30);
    assert_eq!(template(&gateways), before);
    let connections = |fetched: &mut Dereferenced| {
        fetched.cluster.spec.gateways.get_or_insert_default().connections_per_gateway = Some(7_000);
    };
    assert_ne!(template(&connections), before);
    assert!(!before.to_string().contains("DDDD"), "the key is in no template");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let put = |pairs: [&rcgen::CertifiedKey<rcgen::KeyPair>; 2]| {
        let mut fetched = support::fetched(support::cluster("haproxy"));
        let values = fetched.secrets.get_mut("my-certificate").unwrap().as_mut().unwrap();
        values.insert("tls.crt".to_owned(), Sensitive::new(pairs[0].cert.pem()));
        values.insert("tls.key".to_owned(), Sensitive::new(pairs[1].signing_key.serialize_pem()));
        fetched
    };
    let [one, another] = ["a", "b"].map(|name| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap());
    assert!(support::validated(&put([&one, &one])).is_ok());
    let (reason, message) = problem(&put([&one, &another]));
    assert_eq!(reason, "SecretInvalid");
    assert!(message.contains("tls.key in Secret my-certificate is the key of another certificate"), "{message}");
}

#[test]
fn there_is_room_for_twice_the_gateways_that_there_may_be() {
    let slots = |gateways: Value| {
        let mut fetched = support::fetched(support::cluster("minimal"));
        fetched.cluster.spec.gateways = Some(serde_json::from_value(gateways).unwrap());
        let config = config(&support::migrated_from(fetched));
        let line = config.lines().find(|line| line.contains("server-template")).unwrap().to_owned();
        line.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap()
    };
    let haproxy = json!({ "type": "HAProxy" });
    assert_eq!(slots(json!({ "expose": haproxy })), 64);
    assert_eq!(slots(json!({ "expose": haproxy, "replicas": 500 })), 1_024);
    let autoscaling = json!({ "mode": "Native", "maxReplicas": 70 });
    assert_eq!(slots(json!({ "expose": haproxy, "replicas": 2, "autoscaling": autoscaling })), 256);
}

/// Behind the tier everybody's word on addresses would be believed, so nobody else may get to the gateways.
#[test]
fn gateways_behind_the_tier_take_connections_from_it_only() {
    let cluster = exposed(json!({ "type": "HAProxy" }));
    let policy = object(&cluster, "NetworkPolicy", "demo-gateway");
    for rule in policy["spec"]["ingress"].as_array().unwrap() {
        let peers = rule["from"].as_array().unwrap();
        assert!(
            peers.iter().any(|peer| peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "balancer")
        );
    }
    let gateway = object(&cluster, "ConfigMap", &build::deployment_name(&cluster).unwrap())["data"]["config.json"]
        .as_str()
        .unwrap()
        .to_owned();
    let gateway: chat_gateway_config::GatewayConfig = serde_json::from_str(&gateway).unwrap();
    assert_eq!(gateway.agent_listen, Some(([0, 0, 0, 0], 8082).into()));
    let trusts =
        |address: &str| gateway.http.trusted_proxies.iter().any(|network| network.contains(address.parse().unwrap()));
    assert!(trusts("192.0.2.1") && trusts("2001:db8::1"));
    // What a client sent is replaced, so that there is one address to believe.
    assert!(config(&cluster).contains("http-request set-header X-Forwarded-For %[src]\n"));
    assert!(config(&cluster).contains("http-request del-header Forwarded\n"));
}

#[test]
fn a_certificate_that_vanishes_or_is_none_is_named_with_the_way_out() {
    let all = || support::fetched(support::cluster("haproxy"));
    assert!(referenced_secrets(&all().cluster).contains(&"my-certificate".to_owned()), "it is watched");
    let mut gone = all();
    gone.secrets.insert("my-certificate".to_owned(), None);
    let (reason, message) = problem(&gone);
    assert_eq!(reason, "SecretNotFound");
    assert!(message.contains("spec.gateways.expose.haproxy.tlsSecretRef") && message.contains("tls.crt"), "{message}");
    for key in ["tls.crt", "tls.key"] {
        let mut wrong = all();
        let values = wrong.secrets.get_mut("my-certificate").unwrap().as_mut().unwrap();
        values.insert(key.to_owned(), Sensitive::new("hunter2"));
        let (reason, message) = problem(&wrong);
        assert_eq!(reason, "SecretInvalid");
        assert!(message.contains(key) && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_route_waits_for_the_gateway_api() {
    let route = json!({ "type": "HTTPRoute", "httpRoute": { "parentRefs": [{ "name": "public" }] } });
    let mut fetched = fetched(route);
    assert!(support::validated(&fetched).is_ok());
    fetched.live.not_served.insert(Kind::HttpRoute);
    let (reason, message) = problem(&fetched);
    assert_eq!(reason, "KindNotServed");
    assert!(
        message.contains("spec.gateways.expose.httpRoute") && message.contains("install the Gateway API"),
        "{message}"
    );
    // What needs no such kind is not concerned.
    fetched.cluster.spec.gateways = None;
    assert!(support::validated(&fetched).is_ok());
}
