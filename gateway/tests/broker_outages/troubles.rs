//! Causes each fault, waits until the gateways have noticed, and ends it.

use std::time::Instant;

use tokio::time::sleep;

use crate::{
    fault::Fault,
    suffers::{Sign, Suffers, cut, secret},
    support::{
        behind::Behind,
        eventually,
        proxy::{Proxy, Way},
        scene::MINUTE,
        server::Service as _,
        stage::Gateway,
    },
};

/// Bytes a second of a slow connection, each way: a tenth of what is to be said.
const SLOW: u64 = 500_000;

/// What a gateway logs when its broker, or a part of it, goes.
const AWAY: &str = "is away";

/// Waits until both gateways have their broker; from then on they ask the store for what they missed.
pub(crate) async fn available(gateways: [&Gateway; 2]) {
    let start = Instant::now();
    for gateway in gateways {
        let name = format!("{} has its broker", gateway.name);
        eventually(&name, MINUTE, async || gateway.stats().await.broker.available).await;
    }
    println!("both gateways have their broker {:?} after it could be had", start.elapsed());
}

/// How often a gateway has said something. A failover may be over before anybody looks at its state.
fn said(gateway: &Gateway, words: &str) -> usize {
    gateway.log().matches(words).count()
}

async fn both_say(gateways: [&Gateway; 2], words: &str, harm: impl AsyncFnOnce()) {
    let before = gateways.map(|gateway| said(gateway, words));
    harm().await;
    for (gateway, before) in gateways.into_iter().zip(before) {
        let name = format!("{} says {words:?}", gateway.name);
        eventually(&name, MINUTE, async || said(gateway, words) > before).await;
    }
}

/// Does something to the broker and waits until both gateways have noticed that it, or a part of it, is away.
pub(crate) async fn both_miss(gateways: [&Gateway; 2], harm: impl FnOnce()) {
    both_say(gateways, AWAY, async || harm()).await;
}

/// Does something to the broker and waits until both gateways have noticed.
async fn both_notice(gateways: [&Gateway; 2], sign: Sign, harm: impl AsyncFnOnce()) {
    match sign {
        Sign::Nothing => harm().await,
        Sign::Away => both_say(gateways, AWAY, harm).await,
        Sign::CatchUp => both_say(gateways, "the broker may have lost deliveries", harm).await,
        Sign::Reason(reason) => {
            harm().await;
            for gateway in gateways {
                let what = format!("{} says {reason}", gateway.name);
                eventually(&what, MINUTE, async || gateway.stats().await.broker.reason == reason).await;
            }
        }
    }
}

impl Fault {
    /// Lets it happen and pass.
    pub(crate) async fn befall<B: Suffers>(self, broker: &Behind<B>, gateways: [&Gateway; 2]) {
        match self {
            Self::Killed => {
                both_miss(gateways, || broker.kill()).await;
                broker.up().await;
            }
            Self::Frozen => {
                let start = Instant::now();
                both_miss(gateways, || broker.freeze()).await;
                sleep(self.time().saturating_sub(start.elapsed())).await;
                broker.thaw();
            }
            Self::CutToServer => cut_inside_a_frame(broker, gateways, Way::ToServer).await,
            Self::CutToGateway => cut_inside_a_frame(broker, gateways, Way::ToGateway).await,
            Self::Slow => {
                pace(broker, Some(SLOW));
                sleep(self.time()).await;
                pace(broker, None);
            }
            Self::Full => {
                both_notice(gateways, B::FULL, async || broker.broker.fill(true).await).await;
                broker.broker.fill(false).await;
            }
            Self::Refused => {
                let file = secret(broker);
                let refused = Sign::Reason("AuthenticationFailed");
                both_notice(gateways, refused, async || {
                    broker.broker.refuse(&file).await;
                    broker.proxies.iter().for_each(|proxy| proxy.cut_after(Way::ToServer, 0));
                })
                .await;
                broker.broker.accept(&file).await;
            }
        }
        available(gateways).await;
    }
}

async fn cut_inside_a_frame<B: Suffers>(broker: &Behind<B>, gateways: [&Gateway; 2], way: Way) {
    let cuts = || broker.proxies.iter().map(Proxy::cuts).sum::<usize>();
    let before = cuts();
    both_notice(gateways, B::CUT, async || cut(broker, way)).await;
    eventually("a cut for each gateway", MINUTE, async || cuts() >= before + gateways.len()).await;
}

fn pace<B>(broker: &Behind<B>, pace: Option<u64>) {
    for proxy in &broker.proxies {
        [Way::ToServer, Way::ToGateway].into_iter().for_each(|way| proxy.pace(way, pace));
    }
}
