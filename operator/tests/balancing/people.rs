//! Clients by the thousand, in processes of their own.

use std::time::Instant;

use crate::{AT_ONCE, Client, apart, apart::Apart, connect};
use futures::{StreamExt as _, stream};

/// Clients of one process.
const PART: usize = 6_000;

/// Clients that came together.
pub(crate) struct People {
    parts: Vec<Apart>,
    counts: Vec<u64>,
}

impl People {
    /// Connects so many, by turns through each of these addresses, to one of so many gateways.
    pub(crate) fn come(through: &[std::net::SocketAddr], clients: usize, gateways: usize) -> Self {
        let started = Instant::now();
        let addresses: Vec<String> = through.iter().map(ToString::to_string).collect();
        let number = clients.div_ceil(PART);
        let mut parts: Vec<Apart> =
            (0..number).map(|_| Apart::start("people::part_of_the_people", &addresses.join(" "))).collect();
        for (nth, part) in parts.iter_mut().enumerate() {
            part.order(&format!("come {} {gateways}", clients / number + usize::from(nth < clients % number)));
        }
        let mut counts = vec![0; gateways];
        for part in &mut parts {
            for (all, here) in counts.iter_mut().zip(part.answer()) {
                *all += here;
            }
        }
        println!("{clients} clients in {:.1} s", started.elapsed().as_secs_f64());
        Self { parts, counts }
    }

    /// How many of them came to a gateway.
    pub(crate) fn at(&self, gateway: usize) -> u64 {
        self.counts[gateway]
    }

    /// Some of those of a gateway, up to 50 of each process, send something and hear it: how many there are, and how many of them hear it.
    pub(crate) fn alive(&mut self, gateway: usize) -> (u64, u64) {
        let answers = self.parts.iter_mut().map(|part| part.ask(&format!("alive {gateway}")));
        answers.fold((0, 0), |(asked, alive), here| (asked + here[0], alive + here[1]))
    }
}

#[tokio::test]
#[ignore = "other tests start it as a process"]
async fn part_of_the_people() {
    let task = apart::task();
    let through: Vec<std::net::SocketAddr> = task.split(' ').map(|address| address.parse().unwrap()).collect();
    let mut people: Vec<Client> = Vec::new();
    apart::obey(async |words| match words {
        ["come", clients, gateways] => {
            let clients: usize = clients.parse().unwrap();
            let coming = (0..clients).map(|nth| connect(through[nth % through.len()]));
            people = stream::iter(coming).buffer_unordered(AT_ONCE).collect().await;
            let count = |gateway: usize| people.iter().filter(|client| client.gateway == gateway).count() as u64;
            (0..gateways.parse().unwrap()).map(count).collect()
        }
        ["alive", gateway] => {
            let gateway: usize = gateway.parse().unwrap();
            let mut alive = Vec::new();
            for client in people.iter_mut().filter(|client| client.gateway == gateway).take(50) {
                alive.push(client.is_alive().await);
            }
            vec![alive.len() as u64, alive.iter().filter(|alive| **alive).count() as u64]
        }
        other => panic!("{other:?}"),
    })
    .await;
}
