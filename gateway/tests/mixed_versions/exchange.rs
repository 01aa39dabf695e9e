//! Everything that two people say to each other, one on each of two gateways: whoever writes, the other one sees it, and both gateways
//! tell the same of it afterwards.

use std::time::Instant;

use chat_test_client::{Account, Addresses, accounts};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    device::Device,
    support::{
        scene::{MINUTE, account},
        stage::Gateway,
    },
};

/// Ann on the first gateway, Bob and a second device of Ann on the other one.
struct Pair<'a> {
    here: &'a Gateway,
    there: &'a Gateway,
    ann: Account,
    bob: Account,
    anns: Device,
    anns_second: Device,
    bobs: Device,
    room: String,
}

/// Goes through all of it. `course` makes names of people that nobody had before.
pub(crate) async fn exchange(course: &str, here: &Gateway, there: &Gateway) {
    let begin = Instant::now();
    let mut pair = Pair::meet(course, here, there).await;
    pair.entries().await;
    pair.marks_and_typing().await;
    pair.presence(course).await;
    pair.roles_and_mutes().await;
    pair.removal_and_return().await;
    pair.resume().await;
    pair.sessions().await;
    println!("{} to {}: everything is said after {:.1?}", here.name, there.name, begin.elapsed());
}

fn entry(kind: &str, room: &str, fields: &Value) -> Value {
    let mut request = json!({ "type": kind, "room": room, "message_id": Uuid::now_v7() });
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    request
}

fn text(room: &str, body: &str) -> Value {
    entry("send", room, &json!({ "body": body }))
}

/// Makes a group with these people; its id.
async fn group(device: &mut Device, members: &[&str]) -> String {
    let request = json!({ "type": "create_room", "kind": "group", "title": "both", "members": members, "request_id": Uuid::now_v7() });
    let answer = device.ask(request).await;
    assert_eq!(answer["created"], true, "{answer}");
    answer["room"]["id"].as_str().unwrap().to_owned()
}

impl<'a> Pair<'a> {
    /// Bob signs up where Ann is and signs in where he is; Ann does it the other way.
    async fn meet(course: &str, here: &'a Gateway, there: &'a Gateway) -> Self {
        let [ann, bob] = ["ann", "bob"].map(|name| format!("{name}-{course}"));
        tokio::join!(account(there, &ann), account(here, &bob));
        let (ann, bob) = tokio::join!(account(here, &ann), account(there, &bob));
        let mut anns = Device::connect(here, &ann).await;
        let (mut anns_second, mut bobs) = (Device::connect(there, &ann).await, Device::connect(there, &bob).await);
        let room = group(&mut anns, &[&bob.user.name]).await;
        for device in [&mut anns_second, &mut bobs] {
            device.added(&room).await;
        }
        Self { here, there, ann, bob, anns, anns_second, bobs, room }
    }

    /// Texts and all that changes them, each repeated on the other gateway: the first answer, and no second entry.
    async fn entries(&mut self) {
        let room = self.room.as_str();
        let react = json!({ "target": 1, "emoji": "+1" });
        let asked = [
            text(room, "helo"),
            entry("edit", room, &json!({ "target": 1, "body": "hello" })),
            entry("react", room, &react),
            entry("send", room, &json!({ "body": "so?", "reply_to": 1, "mentions": [self.bob.user.id] })),
            entry("unreact", room, &react),
        ];
        let (mut one, mut other) = (&mut self.anns, &mut self.anns_second);
        for (seq, request) in (1..).zip(&asked) {
            assert_eq!(one.enter(request).await, (seq, false), "{request}");
            assert_eq!(other.enter(request).await, (seq, true), "{request}, repeated on the other gateway");
            (one, other) = (other, one);
        }
        // What changes nothing is kept elsewhere than in the log, with its answer.
        let again = entry("react", room, &react);
        assert_eq!(one.enter(&again).await, (6, false));
        let idle = entry("react", room, &react);
        assert_eq!(one.enter(&idle).await, (6, true), "it is there already");
        assert_eq!(other.enter(&idle).await, (6, true), "so says the other gateway, too");
        let nothing = entry("unreact", room, &json!({ "target": 4, "emoji": "+1" }));
        for device in [one, other] {
            assert_eq!(device.ask(nothing.clone()).await["code"], "not_found", "there is no such reaction");
        }
        let bobs = text(room, "hm");
        assert_eq!(self.bobs.enter(&bobs).await, (7, false));
        assert_eq!(self.anns.ask(bobs).await["code"], "conflict", "the id is another member's");
        assert_eq!(self.anns.enter(&entry("delete", room, &json!({ "target": 4 }))).await, (8, false));

        let kinds = ["text", "edit", "react", "text", "unreact", "react", "text", "delete"];
        for device in [&mut self.anns, &mut self.anns_second, &mut self.bobs] {
            let seen = device.messages(room, 8).await;
            let (places, seen): (Vec<_>, Vec<_>) = seen
                .iter()
                .map(|message| (message["seq"].as_u64(), message["kind"].as_str().unwrap_or("text")))
                .unzip();
            assert_eq!((places, seen.as_slice()), ((1..=8).map(Some).collect(), kinds.as_slice()));
        }
        self.same_history().await;
    }

    async fn same_history(&mut self) {
        for view in ["log", "texts"] {
            let history = self.anns.history(&self.room, view).await;
            assert_eq!(self.anns_second.history(&self.room, view).await, history, "{view}");
            assert!(history.as_array().is_some_and(|messages| messages.len() >= 3), "{view}: {history}");
        }
    }

    async fn marks_and_typing(&mut self) {
        let (room, bob) = (self.room.as_str(), self.bob.user.id);
        self.bobs.tell(json!({ "type": "delivered", "room": room, "seq": 7 })).await;
        let delivered = json!({ "room": room, "user": bob, "delivered_seq": 7, "read_seq": 0 });
        self.anns.told("receipt", delivered).await;
        self.bobs.tell(json!({ "type": "read", "room": room, "seq": 8 })).await;
        let read = json!({ "room": room, "user": bob, "delivered_seq": 8, "read_seq": 8 });
        self.anns.told("receipt", read).await;
        self.anns.tell(json!({ "type": "read", "room": room, "seq": 3 })).await;
        self.bobs.told("receipt", json!({ "room": room, "user": self.ann.user.id, "read_seq": 3 })).await;
        for (state, request) in [("start", "typing_start"), ("stop", "typing_stop")] {
            self.anns.tell(json!({ "type": request, "room": room })).await;
            self.bobs.told("typing", json!({ "room": room, "user": self.ann.user.id, "state": state })).await;
            self.bobs.tell(json!({ "type": request, "room": room })).await;
            self.anns.told("typing", json!({ "room": room, "user": bob, "state": state })).await;
        }
    }

    /// Eve comes where Ann is, and goes: Bob on the other gateway is told as Ann is, and both get the same when they ask.
    async fn presence(&mut self, course: &str) {
        let eve = account(self.here, &format!("eve-{course}")).await;
        let room = group(&mut self.anns, &[&self.bob.user.name, &eve.user.name]).await;
        self.bobs.added(&room).await;
        let visit = Device::connect(self.here, &eve).await;
        for device in [&mut self.anns, &mut self.bobs] {
            device.told("presence", json!({ "user": eve.user.id, "state": "online" })).await;
            let list = device.ask(json!({ "type": "presence", "users": [eve.user.id, self.bob.user.id] })).await;
            let states: Vec<_> = list["users"].as_array().into_iter().flatten().map(|user| &user["state"]).collect();
            assert_eq!(states, ["online", "online"], "{list}");
        }
        visit.leave().await;
        for device in [&mut self.anns, &mut self.bobs] {
            device.told("presence", json!({ "user": eve.user.id, "state": "offline" })).await;
        }
    }

    async fn roles_and_mutes(&mut self) {
        let room = self.room.as_str();
        let bob = self.bob.user.id;
        let role =
            json!({ "type": "set_role", "room": room, "member": bob, "role": "admin", "request_id": Uuid::now_v7() });
        self.anns.tell(role).await;
        let told = json!({ "room": room, "user": bob, "role": "admin" });
        self.bobs.told("role_changed", told.clone()).await;
        self.anns_second.told("role_changed", told).await;
        self.anns_second.tell(json!({ "type": "mute", "room": room, "request_id": Uuid::now_v7() })).await;
        self.anns.told("muted", json!({ "room": room })).await;
    }

    /// Who is removed on one gateway hears nothing more on the other, and everything again once added.
    async fn removal_and_return(&mut self) {
        let elsewhere = group(&mut self.anns, &[&self.bob.user.name]).await;
        self.bobs.added(&elsewhere).await;
        let room = self.room.as_str();
        let member = |request: &str| json!({ "type": request, "room": room, "member": self.bob.user.id, "request_id": Uuid::now_v7() });
        self.anns.tell(member("remove_member")).await;
        self.bobs.told("room_removed", json!({ "room": room })).await;
        for device in [&mut self.anns, &mut self.anns_second] {
            device.enter(&text(room, "not for bob")).await;
            device.enter(&text(&elsewhere, "for bob")).await;
        }
        let heard = self.bobs.messages(&elsewhere, 2).await;
        assert!(heard.iter().all(|message| message["body"] == "for bob"), "{heard:?}");
        let refused = self.bobs.ask(json!({ "type": "history", "room": room })).await;
        assert_eq!(refused["code"], "not_found", "{refused}");
        self.anns_second.tell(member("add_member")).await;
        let added = self.bobs.added(room).await;
        assert_eq!(added["last_seq"], 10, "{added}");
        self.anns.enter(&text(room, "bob is back")).await;
        let heard = self.bobs.messages(room, 1).await;
        assert_eq!(
            (&heard[0]["seq"], &heard[0]["body"]),
            (&json!(11), &json!("bob is back")),
            "and not the two before"
        );
        self.bobs.tell(json!({ "type": "remove_member", "room": elsewhere, "member": self.bob.user.id })).await;
        self.anns.told("member_removed", json!({ "room": elsewhere, "user": self.bob.user.id })).await;
    }

    /// A session that begins on one gateway goes on at the other one, and there and back.
    async fn resume(&mut self) {
        let room = self.room.clone();
        let mut place = 11;
        let mut device = Device::connect(self.here, &self.bob).await;
        for gateway in [self.there, self.here, self.there] {
            device.leave().await;
            for n in 1..=3 {
                let sender = if n == 2 { &mut self.anns_second } else { &mut self.anns };
                sender.enter(&text(&room, &format!("while bob is away {n}"))).await;
            }
            let (again, welcome) = Device::resume(gateway, &self.bob, &[(&room, place)]).await;
            let resumed = &welcome["resumed"][0];
            assert_eq!((&resumed["recovered"], &resumed["to"]), (&json!(true), &json!(place + 3)), "{welcome}");
            device = again;
            let replayed = device.messages(&room, 3).await;
            let places: Vec<_> = replayed.iter().filter_map(|message| message["seq"].as_u64()).collect();
            assert_eq!(places, [place + 1, place + 2, place + 3]);
            place += 3;
        }
        device.leave().await;
        self.same_history().await;
    }

    /// Tokens are good at both, rotate at both, and end at both.
    async fn sessions(&mut self) {
        let name = self.ann.user.name.clone();
        let begun = account(self.here, &name).await;
        let mut open = [Device::connect(self.here, &begun).await, Device::connect(self.there, &begun).await];
        let fresh = accounts::refresh(&self.there.address, &begun).await.unwrap();
        let fresh = accounts::refresh(&self.here.address, &fresh).await.unwrap();
        let used = json!({ "refresh_token": begun.refresh_token });
        let (status, _) = accounts::post(&self.there.address, "/v1/refresh", None, &used).await.unwrap();
        assert_eq!(status.as_u16(), 401, "a token that was used on both gateways ends its session");
        for device in &mut open {
            assert_eq!(device.closed().await, 4410);
        }
        let gone = accounts::refresh(&self.here.address, &fresh).await;
        assert!(gone.is_err(), "{gone:?}");

        let (one, other) = (account(self.here, &name).await, account(self.there, &name).await);
        let mut others = Device::connect(self.here, &other).await;
        let mut ones = Device::connect(self.there, &one).await;
        let gone = json!({ "refresh_token": one.refresh_token });
        let (status, _) = accounts::post(&self.here.address, "/v1/sign-out", None, &gone).await.unwrap();
        assert_eq!((status.as_u16(), ones.closed().await), (204, 4410), "signed out on the other gateway");
        let change = json!({ "old_password": other.password, "new_password": "another good one" });
        let token = Some(self.ann.token.as_str());
        let (status, _) = accounts::post(&self.there.address, "/v1/password", token, &change).await.unwrap();
        assert_eq!((status.as_u16(), others.closed().await), (204, 4410), "another session changed the password");
        // One gateway reads the hash that the other one made.
        let here = Addresses::new(vec![self.here.address.clone()]);
        accounts::enter(&here, &name, "another good one", MINUTE).await.unwrap();
    }
}
