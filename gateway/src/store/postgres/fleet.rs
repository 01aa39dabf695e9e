//! The shards that this gateway knows. The list is read with every request, and grows and shrinks while the gateway runs.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;

use super::{
    commits::Lanes,
    directory::Directory,
    probe::{self, Expected},
    shard::Shard,
};

/// A shard and what works for it. Whoever holds it may go on with it after it was retired, and is told so by the shard.
pub(super) struct Member {
    pub(super) shard: Arc<Shard>,
    pub(super) lanes: Lanes,
    prober: AbortHandle,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

/// By index, which a shard keeps for life and which no other one gets after it: the directory and marks of readers name shards by it.
type Members = Vec<Option<Arc<Member>>>;

/// All shards.
pub(super) struct Fleet {
    members: ArcSwap<Members>,
    directory: Arc<Directory>,
    expected: Arc<Expected>,
    /// Held by who changes the list.
    changing: Mutex<()>,
}

impl Fleet {
    /// Without any shard.
    pub(super) fn new(directory: Arc<Directory>, expected: Expected) -> Self {
        Self { members: ArcSwap::default(), directory, expected: Arc::new(expected), changing: Mutex::new(()) }
    }

    /// Adds a shard, behind all others, and begins to look after it. Must be called inside a tokio runtime.
    pub(super) fn add(&self, shard: &chat_gateway_config::Shard) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut members = self.members.load().as_ref().clone();
        let shard = Arc::new(Shard::new(members.len(), shard.name.clone(), shard.uri_file.clone()));
        let prober = tokio::spawn(probe::run(shard.clone(), self.directory.clone(), self.expected.clone()));
        let lanes = Lanes::start(&shard);
        members.push(Some(Arc::new(Member { shard, lanes, prober: prober.abort_handle() })));
        self.members.store(Arc::new(members));
    }

    /// Takes a shard out of the list. Its statements come to their end; requests that wait for it look for the slot's owner anew.
    pub(super) fn retire(&self, name: &str) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut members = self.members.load().as_ref().clone();
        for place in &mut members {
            let Some(member) = place.take_if(|member| member.shard.name == name) else { continue };
            member.prober.abort();
            member.shard.retire();
            self.directory.forget(member.shard.index);
        }
        self.members.store(Arc::new(members));
    }

    /// The shard of an index, unless it was retired.
    pub(super) fn get(&self, index: usize) -> Option<Arc<Member>> {
        self.members.load().get(index)?.clone()
    }

    /// The shard of a name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Shard>> {
        let members = self.members.load();
        members.iter().flatten().find(|member| member.shard.name == name).map(|member| member.shard.clone())
    }

    /// All of them as they are now, in the order in which they came.
    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        self.members.load().iter().flatten().map(|member| member.shard.clone()).collect()
    }
}
