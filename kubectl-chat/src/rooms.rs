//! The rooms of a ChatCluster in which the most goes on.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use chat_gateway_config::{
    AdminTokens,
    rooms::{RoomLoad, RoomsAnswer},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::{
    admin_port,
    args::{Output, Rooms},
    gateway::{Gateways, said},
    tables::table,
};

const HEAD: [&str; 6] = ["ROOM", "MESSAGES/S", "CONNECTIONS", "GATEWAYS", "NEWEST", "SLOT"];
/// Rooms that each gateway is asked for: what it tells of at most. A room that is not among the busiest of each has its connections there left out.
const OF_EACH: usize = 1_000;
/// Key of the token in its Secret.
const TOKEN: &str = "token";

/// One room, on all gateways.
#[derive(Clone, Debug, Default, PartialEq)]
struct Room {
    slot: u32,
    connections: u64,
    gateways: usize,
    last_seq: u64,
    messages_per_second: f64,
}

/// What the gateways said, added up.
#[derive(Debug, Default)]
struct Survey {
    /// The busiest first.
    rooms: Vec<(String, Room)>,
    /// Gateways that answered.
    asked: usize,
    /// Gateways that follow more rooms than they told of.
    cut: usize,
}

pub(crate) async fn show(gateways: &Gateways, Rooms { cluster, limit, output }: &Rooms) -> Result<()> {
    let cluster = gateways.cluster(cluster).await?.name_any();
    let (pods, listed) = admin_port::gateways(gateways, &cluster).await?;
    let token = token(gateways, &cluster).await?;
    let path = format!("/rooms?limit={OF_EACH}");
    let answers = admin_port::ask_all(&pods, &listed, |pods, pod| {
        let (path, token) = (path.clone(), token.clone());
        async move {
            let body = admin_port::get(&pods, &pod, &path, Some(&token)).await?;
            serde_json::from_slice::<RoomsAnswer>(&body).context("its answer is not understood")
        }
    });
    let answers = answers.await;
    if answers.is_empty() {
        bail!("no gateway of {cluster} tells of its rooms; kubectl chat gateways {cluster} lists them");
    }
    let survey = Survey::of(answers.into_values(), (*limit).into());
    match output {
        Output::Json => println!("{}", survey.object()),
        Output::Table => print!("{}", survey.text()),
    }
    Ok(())
}

/// The token of the admin port.
async fn token(gateways: &Gateways, cluster: &str) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(gateways.client.clone(), &gateways.namespace);
    let name = format!("{cluster}-admin-token");
    let found = match secrets.get(&name).await {
        Ok(found) => found,
        Err(error) => bail!(
            "which rooms there are is told to who has the token of the admin port: Secret {name} cannot be read: {}",
            said(&error)
        ),
    };
    let text = found.data.and_then(|mut data| data.remove(TOKEN)).and_then(|text| String::from_utf8(text.0).ok());
    let tokens = text.and_then(|text| AdminTokens::parse(&text).ok());
    // While it is replaced there are several, and the operator shows the first.
    tokens
        .map(|tokens| tokens.first().to_owned())
        .with_context(|| format!("Secret {name} has no key {TOKEN} with text"))
}

impl Survey {
    fn of(answers: impl Iterator<Item = RoomsAnswer>, limit: usize) -> Self {
        let mut survey = Self::default();
        let mut rooms: BTreeMap<String, Room> = BTreeMap::new();
        for RoomsAnswer { followed, rooms: told } in answers {
            survey.asked += 1;
            survey.cut += usize::from(followed > told.len() as u64);
            for RoomLoad { room, slot, connections, last_seq, messages_per_second } in told {
                let sum = rooms.entry(room).or_default();
                sum.slot = slot;
                sum.connections += connections;
                sum.gateways += 1;
                sum.last_seq = sum.last_seq.max(last_seq);
                // Each gateway sees all that is said.
                sum.messages_per_second = sum.messages_per_second.max(messages_per_second);
            }
        }
        survey.rooms = rooms.into_iter().collect();
        survey.rooms.sort_by(|(_, a), (_, b)| {
            b.messages_per_second.total_cmp(&a.messages_per_second).then(b.connections.cmp(&a.connections))
        });
        survey.rooms.truncate(limit);
        survey
    }

    fn text(&self) -> String {
        let Self { rooms, asked, cut } = self;
        if rooms.is_empty() {
            return format!("nobody is in a room on any of {asked} gateways\n");
        }
        let rows: Vec<Vec<String>> = rooms
            .iter()
            .map(|(id, room)| {
                vec![
                    id.clone(),
                    format!("{:.1}", room.messages_per_second),
                    room.connections.to_string(),
                    room.gateways.to_string(),
                    room.last_seq.to_string(),
                    room.slot.to_string(),
                ]
            })
            .collect();
        let cut = match cut {
            0 => String::new(),
            some => format!(
                "\n{some} of {asked} gateways have more than {OF_EACH} rooms and told of the busiest only: connections may be more than stands here\n"
            ),
        };
        table(&HEAD, &rows) + &cut
    }

    fn object(&self) -> Value {
        let rooms: Vec<Value> = self
            .rooms
            .iter()
            .map(|(id, room)| {
                json!({
                    "room": id,
                    "messagesPerSecond": room.messages_per_second,
                    "connections": room.connections,
                    "gateways": room.gateways,
                    "lastSeq": room.last_seq,
                    "slot": room.slot,
                })
            })
            .collect();
        json!(rooms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(followed: u64, rooms: &[(&str, u64, u64, f64)]) -> RoomsAnswer {
        let load = |&(room, connections, last_seq, rate): &(&str, u64, u64, f64)| RoomLoad {
            room: room.to_owned(),
            slot: 7,
            connections,
            last_seq,
            messages_per_second: rate,
        };
        RoomsAnswer { followed, rooms: rooms.iter().map(load).collect() }
    }

    #[test]
    fn a_room_is_added_up_over_gateways() {
        let answers =
            [answer(2, &[("b", 5, 90, 1.0), ("a", 2, 10, 0.0)]), answer(9, &[("b", 1, 91, 2.5), ("c", 40, 3, 0.0)])];
        let survey = Survey::of(answers.into_iter(), 2);
        let text = survey.text();
        let expected = "ROOM   MESSAGES/S   CONNECTIONS   GATEWAYS   NEWEST   SLOT
b      2.5          6             2          91       7
c      0.0          40            1          3        7

1 of 2 gateways have more than 1000 rooms";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(
            survey.object()[0],
            json!({ "room": "b", "messagesPerSecond": 2.5, "connections": 6, "gateways": 2, "lastSeq": 91, "slot": 7 })
        );
    }

    #[test]
    fn silence_is_said() {
        assert_eq!(Survey::of([answer(0, &[])].into_iter(), 5).text(), "nobody is in a room on any of 1 gateways\n");
    }
}
