//! Five thousand people through all that an autoscaler meets: a step, a wave, half of the gateways lost, an operator that does not answer, and most of
//! them gone again. Those who stay write and read all the time, and every message is counted.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::{
    ChatCluster, Namespace, World,
    breaking::freeze,
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use serde_json::json;
use tokio::time::sleep;

use super::crowd::{Crowd, go_first};
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Most people at the same time.
const EVERYBODY: usize = 5_000;
/// People at the beginning and at the end.
const FEW: usize = 500;
/// Accounts; each has a room for all its devices, and one device that writes.
const ACCOUNTS: usize = 50;
/// Connections that fit a gateway: eight gateways for everybody.
const CAPACITY: usize = 1_000;
/// Between two messages of an account.
const PAUSE: Duration = Duration::from_secs(4);
/// Time for a step of the course.
const COURSE_LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test --long"]
async fn long_five_thousand_lose_nothing_whatever_happens_to_the_gateways() -> Result<()> {
    let _turn = turn().await?;
    go_first()?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-crowd").await?;
    let mut wanted = manifest::smallest("crowd");
    wanted["spec"]["gateways"] = json!({
        "connectionsPerGateway": CAPACITY,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "autoscaling": {
            "mode": "Native", "minReplicas": 2, "maxReplicas": 10, "scaleDown": { "windowSeconds": 20 },
        },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let mut crowd = Crowd::found(&cluster, ACCOUNTS).await?;
    crowd.come(FEW).await?;
    crowd.talk_during(PAUSE, async |crowd| tell(crowd, &cluster, &world).await).await?;
    cluster.check_spec_is_the_users().await?;
    drop(crowd);
    namespace.discard().await
}

async fn tell(crowd: &mut Crowd, cluster: &ChatCluster, world: &World) -> Result<()> {
    let started = Instant::now();
    crowd.come(EVERYBODY).await?;
    wait_gateways(cluster, 8).await?;
    println!("== {:.0} s: a wave", started.elapsed().as_secs_f64());
    crowd.go(EVERYBODY * 7 / 10).await;
    sleep(Duration::from_secs(30)).await;
    crowd.come(EVERYBODY).await?;
    println!("== {:.0} s: half of the gateways are lost", started.elapsed().as_secs_f64());
    let pods = cluster.ready_pods(Part::Gateway).await?;
    for pod in pods.iter().step_by(2) {
        cluster.kill_pod(pod).await?;
    }
    crowd.wait_connected(cluster).await?;
    println!("== {:.0} s: the operator does not answer, and people leave", started.elapsed().as_secs_f64());
    let operator = world.operator_pod().await?;
    let (frozen, ()) = tokio::join!(freeze(&operator, Duration::from_secs(60)), crowd.go(EVERYBODY / 2));
    frozen?;
    crowd.wait_connected(cluster).await?;
    println!("== {:.0} s: few stay", started.elapsed().as_secs_f64());
    crowd.go(FEW).await;
    until("two gateways to be enough", COURSE_LIMIT, || async {
        let pods = cluster.pods(Part::Gateway).await?.len();
        Ok(if pods == 2 { Seen::Yes(()) } else { Seen::NotYet(format!("{pods} gateways")) })
    })
    .await?;
    crowd.wait_connected(cluster).await?;
    println!("== {:.0} s: the end", started.elapsed().as_secs_f64());
    Ok(())
}

async fn wait_gateways(cluster: &ChatCluster, least: usize) -> Result<()> {
    until(format!("{least} gateways"), COURSE_LIMIT, || async {
        let ready = cluster.ready_pods(Part::Gateway).await?.len();
        Ok(if ready >= least { Seen::Yes(()) } else { Seen::NotYet(format!("{ready} gateways are ready")) })
    })
    .await
}
