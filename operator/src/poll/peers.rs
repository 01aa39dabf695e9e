//! Tells each gateway of a ChatCluster which gateways take clients, where clients can reach a single one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use chat_gateway_config::{
    hints::{Peer, Peers},
    stats::GatewayStats,
};
use futures::{StreamExt as _, stream};

use super::{CONCURRENCY, ClusterView, Poller, client::Place};
use crate::names::{ClusterKey, port};

/// How clients reach a single gateway: an address in which `{pod}`, `{podIP}` and `{port}` stand for the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressTemplate(String);

impl AddressTemplate {
    /// An address with placeholders, which the schema has checked.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The address of one gateway. An address of IPv6 stands in brackets, as in every URL.
    fn of(&self, pod: &str, ip: &str) -> String {
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
        let text = self.0.replace("{podIP}", &ip).replace("{port}", &port::GATEWAY_HTTP.to_string());
        text.replace("{pod}", pod)
    }
}

/// What there is to tell after a round.
#[derive(Debug)]
pub(super) struct News<'a> {
    /// What the gateways of each ChatCluster answered.
    pub(super) views: &'a HashMap<ClusterKey, ClusterView>,
    /// Where they are, by namespace and name.
    pub(super) places: &'a HashMap<String, Place>,
    /// Those that were told to take nobody new just now.
    pub(super) closing: &'a HashSet<String>,
}

/// The gateways that take clients; those of whom the pods are not ready, or that were told otherwise since they answered, do not.
fn peers(
    template: &AddressTemplate,
    limit: u64,
    gateways: &BTreeMap<String, Box<GatewayStats>>,
    place: impl Fn(&str) -> Option<Place>,
) -> Peers {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let open = gateways.iter().filter_map(|(pod, stats)| Some((pod, stats, place(pod)?)));
    let gateways = open.filter_map(|(pod, stats, place)| Peer::of(stats, template.of(pod, &place.address), limit));
    Peers { gateways: gateways.collect() }
}

impl Poller {
    /// From the next round on tells the gateways of `key`, which [`Poller::watch`] was told of before, of each other; of nobody without a template.
    pub fn introduce(&self, key: &ClusterKey, template: Option<AddressTemplate>) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.introduces = template;
        }
    }

    /// What each gateway that answered is to be told.
    pub(super) fn introductions(&self, news: &News<'_>) -> Vec<Introduction> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let all = news.views.iter().filter_map(|(key, view)| {
            let target = targets.get(key)?;
            let whole = |pod: &str| format!("{}/{pod}", key.namespace);
            let place = |pod: &str| news.places.get(&whole(pod)).cloned();
            let takes = |pod: &str| view.ready.contains(pod) && !news.closing.contains(&whole(pod));
            let open = |pod: &str| place(pod).filter(|_| takes(pod));
            let peers = Arc::new(peers(target.introduces.as_ref()?, target.drains.limit, &view.gateways, open));
            let places = view.gateways.keys().filter_map(|pod| place(pod));
            Some(places.map(|to| Introduction { to, peers: Arc::clone(&peers) }).collect::<Vec<_>>())
        });
        all.flatten().collect()
    }
}

/// Which gateways take clients, for one of them.
#[derive(Debug)]
pub(super) struct Introduction {
    to: Place,
    peers: Arc<Peers>,
}

/// Tells all. Who cannot be told hears it with the next round, and one of the version before never.
pub(super) async fn tell(introductions: Vec<Introduction>) {
    stream::iter(introductions)
        .for_each_concurrent(CONCURRENCY, |Introduction { to, peers }| async move {
            if let Err(error) = to.peers(&peers).await {
                tracing::debug!(address = to.address, %error, "a gateway could not be told of the others");
            }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::mpsc,
    };

    use super::{
        super::testing::{stats, view},
        *,
    };
    use crate::{metrics::Metrics, sensitive::Sensitive};

    #[test]
    fn an_address_has_what_is_the_gateways_own() {
        let of = |template: &str, ip| AddressTemplate::new(template).of("demo-gateway-a-b", ip);
        assert_eq!(of("ws://{podIP}:{port}", "10.0.0.7"), "ws://10.0.0.7:8080");
        assert_eq!(of("ws://{podIP}:{port}", "fd00::7"), "ws://[fd00::7]:8080");
        assert_eq!(of("wss://{pod}.chat.example.com", "10.0.0.7"), "wss://demo-gateway-a-b.chat.example.com");
        assert_eq!(of("wss://chat.example.com/to/{pod}", "10.0.0.7"), "wss://chat.example.com/to/demo-gateway-a-b");
    }

    /// Takes one request and answers it; what it said.
    async fn request(listener: &TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                body.len() >= length.unwrap_or(0)
            }) {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                return text;
            }
            let length = stream.read(&mut piece).await.unwrap();
            bytes.extend(&piece[..length]);
        }
    }

    #[tokio::test]
    async fn every_gateway_that_answered_hears_of_those_that_take_clients() {
        let (sender, _receiver) = mpsc::channel(8);
        let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
        let key = ClusterKey::new("ns", "demo");
        poller.watch(&key, &Sensitive::new("t"), None);
        let number = u16::try_from(port::GATEWAY_ADMIN).unwrap();
        let network = [127, rand::random_range(1..=254), rand::random_range(0..=255)];
        let address = |last| Ipv4Addr::new(network[0], network[1], network[2], last);
        let places: HashMap<String, Place> = ["a", "b", "c", "d"]
            .into_iter()
            .zip(1..)
            .map(|(pod, last)| {
                (format!("ns/{pod}"), Place { address: address(last).to_string(), token: Sensitive::new("t") })
            })
            .collect();
        let mut listeners = Vec::new();
        for last in 1..=4 {
            listeners.push(TcpListener::bind((address(last), number)).await.unwrap());
        }
        // b is cordoned, c has just been told to, d is not ready.
        let b = GatewayStats { cordoned: true, ..stats("b", 2, &[]) };
        let mut answered = view(&[stats("a", 1, &[]), b, stats("c", 3, &[]), stats("d", 4, &[])]);
        answered.ready = ["a", "b", "c"].map(str::to_owned).into();
        let views = HashMap::from([(key.clone(), answered)]);
        let set = |pods: &[&str]| pods.iter().map(|pod| format!("ns/{pod}")).collect::<HashSet<_>>();
        let closing = set(&["c"]);
        let news = News { views: &views, places: &places, closing: &closing };

        poller.introduce(&key, Some(AddressTemplate::new("ws://{podIP}:{port}")));
        let heard = async { futures::future::join_all(listeners.iter().map(request)).await };
        let (heard, ()) = tokio::join!(heard, tell(poller.introductions(&news)));
        for said in heard {
            assert!(said.starts_with("PUT /peers HTTP/1.1\r\n") && said.contains("Bearer t"), "{said}");
            let peers: Peers = serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap();
            let named: Vec<_> = peers.gateways.iter().map(|peer| (peer.address.as_str(), peer.connections)).collect();
            assert_eq!(named, [(format!("ws://{}:8080", address(1)).as_str(), 1)]);
        }
        poller.introduce(&key, None);
        assert!(poller.introductions(&news).is_empty(), "without a template nobody is told of anybody");
    }
}
