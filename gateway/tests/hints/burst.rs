//! A crowd of real sockets before real gateways of unequal size. `CHATCLUSTER_LONG=1` makes it 20,000.

use std::time::Instant;

use chat_gateway_config::GatewayConfig;

use crate::{
    MINUTE, assert_proportional,
    gateway::{Gateway, Operator, ROUND},
    people::People,
    support::{eventually, is_long, memory::resident},
};

/// Time that a gateway gives clients to say hello, which nobody does here; the most that can be set.
const HELLO_SECONDS: u32 = 120;
const SHARES: [u32; 4] = [1, 2, 3, 4];

async fn counts(gateways: &[Gateway]) -> Vec<u32> {
    let stats = futures::future::join_all(gateways.iter().map(|gateway| gateway.operated.stats())).await;
    stats.iter().map(|stats| stats.connections).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_spread_by_size_and_comes_back_when_the_largest_dies() {
    let clients: u32 = if is_long() { 20_000 } else { 4_000 };
    // All of them fit without the largest.
    let unit = clients / 5;
    let mut gateways = Vec::new();
    for share in SHARES {
        let change = |config: &mut GatewayConfig| {
            config.max_connections = share * unit;
            // Nobody signs in, or answers pings.
            (config.http.timeouts.hello_seconds, config.http.timeouts.ping_seconds) = (HELLO_SECONDS, 300);
        };
        gateways.push(Gateway::start(&format!("gateway-{share}"), change).await);
    }
    let known: Vec<_> = gateways.iter().map(|gateway| gateway.operated.clone()).collect();
    let operator = Operator::start(known.clone()).await;
    let before: Vec<u64> = gateways.iter().map(|gateway| resident(&gateway.process)).collect();
    let mut people = People::gather(clients as usize);
    let begun = Instant::now();
    let fronts = |gateways: &[Gateway]| -> Vec<String> { gateways.iter().map(|gateway| gateway.at.clone()).collect() };
    people.connect(&fronts(&gateways)).await;
    let there = counts(&gateways).await;
    let grown: u64 =
        gateways.iter().zip(before).map(|(gateway, before)| resident(&gateway.process).saturating_sub(before)).sum();
    println!("{there:?}, {} bytes of the gateways' memory for each", grown / u64::from(clients));
    assert_eq!(there.iter().sum::<u32>(), clients);
    assert_proportional("all gateways", &there, &SHARES);

    // What the operator said last still names it, for as long as an operator may take to find out.
    drop(operator);
    let mut dead = gateways.pop().unwrap();
    dead.process.kill();
    let later = async {
        tokio::time::sleep(ROUND).await;
        Operator::start(known).await
    };
    let fronts = fronts(&gateways);
    let (refusals, _operator) = tokio::join!(people.connect(&fronts), later);
    assert!(refusals > 0, "nobody was sent to the dead one, and had to go on from there");
    let took = begun.elapsed();
    assert!(took.as_secs() < HELLO_SECONDS.into(), "the machine is too slow for so many: {took:?}");
    eventually("everybody is back", MINUTE, async || counts(&gateways).await.iter().sum::<u32>() == clients).await;
    let there = counts(&gateways).await;
    println!("{there:?} without the largest");
    assert_proportional("without the largest", &there, &SHARES[..3]);
}
