//! Devices of one person that come through the Service, as people do.

use std::future::Future;

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{
    Addresses, Client, ClientConfig, Ledger,
    load::{self, Load},
};
use e2e::{ChatCluster, crowd::sign_up};
use k8s_openapi::api::core::v1::Service;
use kube::Api;

use crate::shared::SETTLE_LIMIT;

/// What the first two devices say, again and again. Each message goes to all devices, of which there are forty in some tests: more than this made gateways that
/// are not optimised, beside another test on two processors, fall ten seconds behind, and the operator took good ones back for it.
const TALK: Load = Load { messages: 200, in_flight: 16, body_bytes: 100, per_second: 50 };

/// Devices in one room, and what they saw.
pub(crate) struct People {
    pub(crate) ledger: Ledger,
    pub(crate) devices: Vec<Client>,
    pub(crate) room: uuid::Uuid,
}

impl People {
    /// Connects `count` devices, and has the first make the room.
    pub(crate) async fn gather(cluster: &ChatCluster, count: usize) -> Result<Self> {
        Self::gather_with(cluster, count, false).await
    }

    /// The same; with `hints` each asks where to connect.
    pub(crate) async fn gather_with(cluster: &ChatCluster, count: usize, hints: bool) -> Result<Self> {
        let addresses = Addresses::new(vec![front(cluster).await?]);
        let account = sign_up(&addresses, "ann").await?;
        let ledger = Ledger::new();
        let mut devices = Vec::new();
        for number in 0..count {
            let mut config = ClientConfig::new(account.clone(), addresses.clone(), ledger.clone());
            config.name = format!("device-{number}");
            config.hints = hints;
            devices.push(Client::start(config).await?);
        }
        let room = devices[0].create_room("group", "all devices", &[]).await?.id;
        for device in &devices {
            ledger.expect_member(device.id(), room);
            ensure!(device.wait_position(room, 0, SETTLE_LIMIT).await, "a device does not know the room");
        }
        Ok(Self { ledger, devices, room })
    }

    /// Connections that each device has made.
    pub(crate) fn connections(&self) -> Vec<u32> {
        self.devices.iter().map(|device| device.standing().connections).collect()
    }

    /// Has the first two devices talk for as long as `story` goes on, then looks whether everybody has everything of it.
    pub(crate) async fn talk_during<T>(&self, what: &str, story: impl Future<Output = Result<T>>) -> Result<T> {
        let (rooms, senders) = ([self.room], [&self.devices[0], &self.devices[1]]);
        let (report, told) = load::run_during(&senders, &rooms, TALK, story).await?;
        println!("{} messages, 99 % acknowledged within {:.1?}", report.acked, report.percentile(99));
        let devices: Vec<&Client> = self.devices.iter().collect();
        let behind = load::settle(&devices, &report, SETTLE_LIMIT).await;
        ensure!(behind.is_empty(), "{} positions are behind: {:?}", behind.len(), behind.first());
        let verdict = self.ledger.verify();
        print!("{what}\n{verdict}");
        verdict.assert_clean(report.acked);
        Ok(told)
    }

    /// Connections that each device has made since it had made these.
    pub(crate) fn moves_since(&self, before: &[u32]) -> Vec<u32> {
        self.connections().iter().zip(before).map(|(now, then)| now - then).collect()
    }

    /// Waits until every device is connected.
    pub(crate) async fn all_connected(&self) -> Result<()> {
        for device in &self.devices {
            let connected = device.wait_standing(SETTLE_LIMIT, |standing| standing.gateway.is_some()).await;
            ensure!(connected, "{:?} is not connected", device.standing());
        }
        Ok(())
    }
}

/// Where the gateways' Service is.
pub(crate) async fn front(cluster: &ChatCluster) -> Result<String> {
    let services: Api<Service> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let service = services.get(&format!("{}-gateway", cluster.name)).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service without an address")?;
    Ok(format!("{address}:80"))
}
