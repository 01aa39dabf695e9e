//! A crowd that takes all the connections that the limit on open files allows. `CHATCLUSTER_LONG=1` does it at the limit that a process has on many
//! systems.

use std::time::{Duration, Instant};

use chat_gateway_config::GatewayConfig;
use rustix::process::{Resource, getrlimit};

use crate::{MINUTE, crowd::Crowd, place::Place, raw::call, support::eventually};

/// Files that the gateway may open, and how many come: more than there are places, and few enough that the rest fits into the system's queue.
/// Beyond it, connecting itself takes seconds. Of the few files, less than a half is for clients.
const FEW: (u32, usize) = (128, 100);
const MANY: (u32, usize) = (20_000, 20_000);
/// Of the files, those that are for nobody who comes.
const KEPT: usize = 64;

/// Processor time that a process has taken.
fn taken(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // The kernel counts hundredths of seconds for everybody who asks here.
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_beyond_the_limit_on_files_waits_and_nobody_else_does() {
    let is_long = std::env::var("CHATCLUSTER_LONG").is_ok_and(|value| value == "1");
    let (files, comers) = if is_long { MANY } else { FEW };
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    assert!(u64::from(files) <= most, "{files} open files are needed; raise the hard limit of {most} (ulimit -Hn)");
    // Nobody answers pings, or speaks, while the crowd gathers.
    let patient = |config: &mut GatewayConfig| {
        (config.http.timeouts.head_seconds, config.http.timeouts.ping_seconds) = (120, 120);
    };
    let place = Place::open_narrow(files, patient).await;
    let (ann, bob) = (place.sign_up("ann").await, place.sign_up("bob").await);
    let (mut near, mut far) = (place.connect(&ann).await, place.connect(&bob).await);
    let room = near.group(&["bob"], "").await;
    let begun = Instant::now();
    let crowd = Crowd::gather(&place.at, comers).await;
    let told = "are taken, more have to wait";
    eventually("it says that it is full", MINUTE, async || place.log().contains(told)).await;
    let open = std::fs::read_dir(format!("/proc/{}/fd", place.process.id())).unwrap().count();
    println!("{open} files of {files} are open after {:?}", begun.elapsed());
    assert!((files as usize - KEPT..files as usize).contains(&open), "{open} of {files}");
    // Those who are connected go on, and so do probes: an unready or restarted gateway would help nobody.
    let before = taken(place.process.id());
    for n in 0..20 {
        near.say(&room, &format!("message {n}")).await;
        far.event("message").await;
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(call(&place.admin, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    // Time that passes with nothing to do costs next to nothing.
    let quiet = taken(place.process.id());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = taken(place.process.id()).checked_sub(quiet).unwrap();
    assert!(spent < Duration::from_millis(500), "{spent:?} in 2 s of waiting, {:?} before", quiet - before);
    drop(crowd);
    place.serves().await;
    assert_eq!(place.log().matches(told).count(), 1, "{}", place.log());
    assert!(!place.log().contains("Too many open files"), "{}", place.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_configured_number_get_503_and_a_time() {
    let place = Place::open_with(|config| config.max_connections = 2).await;
    let ann = place.sign_up("ann").await;
    let mut sockets = vec![place.connect(&ann).await, place.connect(&ann).await];
    let (answer, _stream) = crate::raw::Raw::knock(&place.at, "/v1/ws", &[]).await;
    assert_eq!(answer.status, 503);
    let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&after));
    assert!(sockets[0].is_served().await);
    sockets.clear();
    eventually("there is room again", MINUTE, async || {
        crate::raw::Raw::knock(&place.at, "/v1/ws", &[]).await.0.status == 101
    })
    .await;
}
