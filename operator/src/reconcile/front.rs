//! Where the probe of delivery goes in, and as whom.

use chat_crds::ChatCluster;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;

use super::{live::Live, validated::ValidatedCluster};
use crate::{
    build::Kind,
    names::{annotation, port},
    probe::Front,
};

/// The door of the gateways' Service; `None` until it has an address.
pub(super) fn front(cluster: &ValidatedCluster, live: &Live, cleared: Option<Timestamp>) -> Option<Front> {
    let service: Service = live.typed(Kind::Service, &cluster.names.gateway())?;
    let address = service.spec?.cluster_ip.filter(|address| !address.is_empty() && address != "None")?;
    // An IPv6 address stands in brackets before a port.
    let address = if address.contains(':') { format!("[{address}]") } else { address };
    Some(Front {
        address: format!("{address}:{}", port::GATEWAY_SERVICE),
        issuer: cluster.key.to_string(),
        keys: cluster.signing_pem.clone(),
        signer: cluster.signer.clone(),
        cleared,
    })
}

/// Up to when somebody has forgiven violations. A time that is none, or not come yet, forgives nothing.
pub(super) fn cleared(cluster: &ChatCluster) -> Option<Timestamp> {
    let at: Timestamp = cluster.annotations().get(annotation::DELIVERY_CLEARED)?.parse().ok()?;
    (at <= Timestamp::now()).then_some(at)
}
