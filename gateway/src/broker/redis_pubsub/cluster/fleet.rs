//! The nodes that own a partition, with a connection to each, and the partitions as they are subscribed.

use std::{collections::BTreeSet, sync::Arc};

use chat_gateway_config::{HostPort, Redis, RedisUrl, stats::Component};
use futures::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};
use tokio::{sync::watch, time::timeout};

use super::{
    NODE_OPEN,
    node::{Entry, Node, client, connect},
    partitions::{PARTITIONS, Partitions},
    routes::Table,
    subscriber::{Event, Sinks},
    topology::Topology,
    work::Work,
};
use crate::{
    broker::{
        bindings::{Bindings, Change},
        link::Failure as _,
        redis_pubsub::reason::SessionError,
    },
    redis_server::{Way, down},
};

/// See the module's documentation.
pub(super) struct Fleet {
    redis: Redis,
    sinks: Sinks,
    nodes: Vec<Node>,
    /// Number of the subscribing connection by which each partition is, or is to be, subscribed.
    owners: Vec<Option<u64>>,
    table: watch::Sender<Table>,
    next_number: u64,
    /// Which node is asked next; a different one each time, since one may be behind.
    next_asked: usize,
}

impl Fleet {
    /// Without nodes.
    pub(super) fn new(redis: Redis, sinks: Sinks) -> Self {
        Self {
            redis,
            sinks,
            nodes: Vec::new(),
            owners: vec![None; PARTITIONS],
            table: watch::Sender::new(vec![None; PARTITIONS]),
            next_number: 1,
            next_asked: 0,
        }
    }

    pub(super) fn partitions(&self) -> &Arc<Partitions> {
        &self.sinks.partitions
    }

    pub(super) fn table(&self) -> watch::Receiver<Table> {
        self.table.subscribe()
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Follows the cluster: asks who owns what, connects to owners that are new or lost, and leaves those that own nothing. Partitions that
    /// moved are bound anew. Answers what is missing, and whether any partition moved.
    ///
    /// # Errors
    /// When nobody can be asked, or no node is left.
    pub(super) async fn look(&mut self, bindings: &Bindings) -> Result<(Option<Component>, bool), SessionError> {
        let Way { url: RedisUrl::Cluster(seeds), certificates } = Way::read(&self.redis)? else {
            return Err(down("InvalidUrl", "the URL is no longer a Redis Cluster's").into());
        };
        let entry = Entry { seeds, certificates };
        let topology = self.ask(&entry).await?;
        let owners: Vec<Option<&HostPort>> =
            (0..PARTITIONS).map(|partition| topology.owner(self.sinks.partitions.slot(partition))).collect();
        let mut missing = owners.iter().any(Option::is_none).then(|| {
            down(
                "SlotsUncovered",
                "some slots of the Redis Cluster have no owner; rooms in them are not heard between gateways",
            )
        });
        let wanted: BTreeSet<&HostPort> = owners.iter().copied().flatten().collect();
        self.nodes.retain(|node| node.subscriber.is_some() && wanted.contains(&node.at));
        for outcome in self.open(&wanted, &entry).await {
            match outcome {
                Ok(node) => self.nodes.push(node),
                Err(why) => missing = Some(why),
            }
        }
        if self.nodes.is_empty() {
            return Err(missing
                .unwrap_or_else(|| down("SlotsUncovered", "no node of the Redis Cluster owns slots"))
                .into());
        }
        let node = |at: &HostPort| self.nodes.iter().find(|node| node.at == *at);
        let found: Vec<Option<&Node>> = owners.iter().map(|owner| owner.and_then(node)).collect();
        self.table.send_replace(found.iter().map(|node| node.map(|node| node.publisher.clone())).collect());
        let numbers: Vec<Option<u64>> =
            found.iter().map(|node| node.and_then(|node| Some(node.subscriber.as_ref()?.number))).collect();
        let before = std::mem::replace(&mut self.owners, numbers);
        let moved: Vec<bool> = before.iter().zip(&self.owners).map(|(before, now)| before != now).collect();
        bindings.again(|key| moved[Partitions::of(key)]);
        Ok((missing, moved.contains(&true)))
    }

    /// Asks one node, then all others and the seeds at once, so that those that are away cost the time of one.
    async fn ask(&mut self, entry: &Entry) -> Result<Topology, SessionError> {
        self.next_asked = self.next_asked.wrapping_add(1);
        if let Some(turn) = self.next_asked.checked_rem(self.nodes.len()) {
            let node = &mut self.nodes[turn];
            if let Ok(topology) = Topology::ask(&mut node.publisher, &node.at.0).await {
                return Ok(topology);
            }
        }
        let nodes = self.nodes.iter_mut().map(|node| Topology::ask(&mut node.publisher, &node.at.0).boxed());
        let strangers = entry.seeds.hosts.iter().map(|seed| {
            let asked = async { Topology::ask(&mut connect(&client(seed, entry)?).await?, &seed.0).await };
            async {
                timeout(NODE_OPEN, asked).await.unwrap_or(Err(SessionError::Timeout("naming the owners of slots")))
            }
            .boxed()
        });
        let mut asked: FuturesUnordered<_> = nodes.chain(strangers).collect();
        let mut failure = SessionError::Closed;
        while let Some(outcome) = asked.next().await {
            match outcome {
                Ok(topology) => return Ok(topology),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Connects to those that are wanted and not there.
    async fn open(&mut self, wanted: &BTreeSet<&HostPort>, entry: &Entry) -> Vec<Result<Node, Component>> {
        let absent: Vec<&HostPort> =
            wanted.iter().copied().filter(|at| self.nodes.iter().all(|node| node.at != **at)).collect();
        let first = self.next_number;
        self.next_number += absent.len() as u64;
        join_all(absent.into_iter().zip(first..).map(|(at, number)| {
            let sinks = self.sinks.clone();
            async move {
                let opened = timeout(NODE_OPEN, Node::open(at, entry, number, sinks)).await;
                opened.unwrap_or(Err(SessionError::Timeout("connecting"))).map_err(|error| {
                    let Component { reason, message, .. } = error.component();
                    let (host, port) = at;
                    down(&reason, format!("node {host}:{port} of the Redis Cluster is away: {message}"))
                })
            }
        }))
        .await
    }

    /// Brings all changes that are due to their nodes. Answers why some could not be; those wait until [`Fleet::look`] finds where they belong.
    pub(super) async fn settle(&mut self, bindings: &Bindings) -> Option<Component> {
        let mut trouble = None;
        loop {
            let changes = bindings.take(usize::MAX);
            if changes.is_empty() {
                return trouble;
            }
            for (partition, why) in self.distribute(changes, bindings).await {
                self.owners[partition] = None;
                trouble = Some(why);
            }
        }
    }

    async fn distribute(&mut self, changes: Vec<Change>, bindings: &Bindings) -> Vec<(usize, Component)> {
        let mut work: Vec<Work> = self.nodes.iter().map(|_| Work::default()).collect();
        let mut homeless = Vec::new();
        for change in changes {
            let (Change::Bind(key) | Change::Unbind(key)) = change;
            let partition = Partitions::of(key);
            let owner = self.owners[partition];
            let has_number = |node: &Node| node.subscriber.as_ref().map(|subscriber| subscriber.number) == owner;
            match owner.and_then(|_| self.nodes.iter().position(has_number)) {
                Some(index) => work[index].add(partition, change, &self.sinks.partitions),
                None => homeless.push(change),
            }
        }
        bindings.postpone(&homeless);
        let applied = join_all(self.nodes.iter_mut().zip(work).map(|(node, work)| node.apply(work, bindings))).await;
        let failures = applied.into_iter().filter_map(Result::err);
        failures.flat_map(|(refused, why)| refused.into_iter().map(move |partition| (partition, why.clone()))).collect()
    }

    /// Asks all nodes for signs of life; false when one gave none.
    pub(super) async fn probe(&mut self) -> bool {
        let alive = join_all(self.nodes.iter_mut().map(Node::probe)).await;
        let mut answers = alive.into_iter();
        let before = self.nodes.len();
        self.nodes.retain(|node| answers.next().unwrap_or(false) && node.subscriber.is_some());
        self.nodes.len() == before
    }

    /// Takes note of what befell a subscribing connection; false when it is of no more concern.
    pub(super) fn note(&mut self, event: Event) -> bool {
        let (Event::Closed(number) | Event::Unsubscribed(number, _)) = event;
        if let Event::Unsubscribed(_, partition) = event
            && self.owners[partition] != Some(number)
        {
            // The partition was found elsewhere before its old node said so.
            return false;
        }
        let is_meant =
            |node: &&mut Node| node.subscriber.as_ref().is_some_and(|subscriber| subscriber.number == number);
        match self.nodes.iter_mut().find(is_meant) {
            Some(node) => node.subscriber = None,
            None => return false,
        }
        true
    }
}
