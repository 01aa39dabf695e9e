//! Shards that the spec has no more, and that are not gone yet.

use chat_crds::{
    ChatCluster,
    chat_cluster::{CloudNativePg, ShardPhase, ShardSecretRef, ShardStatus, ShardTls},
};

/// A shard that is being left. The status remembers it: what it is made of is among the children, or in a Secret of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The Secret with its URIs, of one that has such a Secret.
    pub(super) secret: Option<&'a ShardSecretRef>,
    /// Certificates for it.
    pub(super) tls: Option<&'a ShardTls>,
    /// The Cluster that it is a database of, of one that is.
    pub(super) cloud_native_pg: Option<&'a CloudNativePg>,
    /// Standbys that moves wait for, where the spec said how many.
    pub(super) standbys: Option<i32>,
    /// Its slots have left it.
    pub(super) released: bool,
}

impl Leaving<'_> {
    /// Whether the operator runs it.
    pub(super) const fn is_managed(&self) -> bool {
        self.secret.is_none() && self.cloud_native_pg.is_none()
    }
}

/// The shards that are being left.
pub(super) fn leaving(cluster: &ChatCluster) -> impl Iterator<Item = Leaving<'_>> {
    let wanted = cluster.spec.database.shards();
    // An embedded database is listed like a shard, and is never left.
    let known = cluster.status.iter().filter(|_| !wanted.is_empty()).flat_map(|status| &status.shards);
    // One that never was there for all gateways, and owns nothing, has nothing that could be lost.
    let never_was = |shard: &ShardStatus| shard.phase == Some(ShardPhase::Joining) && shard.slots.unwrap_or(0) == 0;
    let gone = known.filter(move |shard| !never_was(shard) && !wanted.iter().any(|wanted| wanted.name == shard.name));
    gone.map(|shard| Leaving {
        name: &shard.name,
        secret: shard.url_secret_ref.as_ref(),
        tls: shard.tls.as_ref(),
        cloud_native_pg: shard.cloud_native_pg.as_ref(),
        standbys: shard.standbys,
        released: shard.phase == Some(ShardPhase::Released),
    })
}
