//! What one session of the probe sees of its room, and whether it is what was promised. Pure.

use serde_json::Value;
use uuid::Uuid;

use super::Failure;

/// Watches the room of a probe on one connection.
#[derive(Debug)]
pub(super) struct Observer {
    room: String,
    /// For what is told.
    gateway: String,
    /// The newest seq that came; at first where the connection began.
    last: i64,
    /// What came, in its order.
    seen: Vec<(Uuid, i64)>,
}

impl Observer {
    /// Of a connection to this gateway, which began in the room after the message `last`.
    pub(super) fn new(room: &str, gateway: &str, last: i64) -> Self {
        Self { room: room.to_owned(), gateway: gateway.to_owned(), last, seen: Vec::new() }
    }

    /// Takes a frame; those that are no message of the room are passed over.
    ///
    /// # Errors
    /// The message came before, or not in its turn.
    pub(super) fn take(&mut self, frame: &Value) -> Result<(), Failure> {
        let message = &frame["message"];
        if frame["type"] != "message" || message["room"] != self.room.as_str() {
            return Ok(());
        }
        let id = message["message_id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
        let seq = message["seq"].as_i64().unwrap_or_default();
        let Self { room, gateway, last, seen } = self;
        let place = format!("room {room}, gateway {gateway}");
        if seen.iter().any(|(before, at)| *before == id || *at == seq) {
            return Err(Failure::violation(
                "DeliveredTwice",
                format!("{place}: message {seq} came twice on one connection"),
            ));
        }
        if seq != *last + 1 {
            let message = format!("{place}: message {seq} came after {last} on one connection");
            return Err(Failure::violation("DeliveredOutOfOrder", message));
        }
        *last = seq;
        seen.push((id, seq));
        Ok(())
    }

    /// The first of what was acknowledged that has not come, by its seq.
    pub(super) fn lacks(&self, acknowledged: &[(Uuid, i64)]) -> Option<i64> {
        let came = |(id, _): &&(Uuid, i64)| self.seen.iter().any(|(seen, _)| seen == id);
        acknowledged.iter().find(|sent| !came(sent)).map(|(_, seq)| *seq)
    }

    /// Whether everything came under the seq that was acknowledged.
    ///
    /// # Errors
    /// It did not.
    pub(super) fn agrees(&self, acknowledged: &[(Uuid, i64)]) -> Result<(), Failure> {
        let of = |wanted: &Uuid| self.seen.iter().find(|(id, _)| id == wanted);
        match acknowledged
            .iter()
            .find_map(|(id, seq)| of(id).filter(|(_, came)| came != seq).map(|(_, came)| (*seq, *came)))
        {
            None => Ok(()),
            Some((seq, came)) => {
                let Self { room, gateway, .. } = self;
                let message =
                    format!("room {room}, gateway {gateway}: message {seq} was acknowledged and came as {came}");
                Err(Failure::violation("DeliveredOutOfOrder", message))
            }
        }
    }

    /// For what is told.
    pub(super) fn gateway(&self) -> &str {
        &self.gateway
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn message(number: u128, seq: i64) -> Value {
        json!({ "type": "message", "message": { "room": "r", "message_id": id(number), "seq": seq } })
    }

    fn after(last: i64, came: &[(u128, i64)]) -> Result<Observer, String> {
        let mut observer = Observer::new("r", "g1", last);
        for (number, seq) in came {
            observer.take(&message(*number, *seq)).map_err(|failure| match failure {
                Failure::Violation(told) => format!("{}: {}", told.reason, told.message),
                Failure::Trouble(told) => panic!("{told:?}"),
            })?;
        }
        Ok(observer)
    }

    #[test]
    fn what_comes_once_and_in_order_is_as_promised() {
        let sent = [(id(1), 5), (id(2), 6), (id(3), 7)];
        let half = after(4, &[(1, 5)]).unwrap();
        assert_eq!((half.lacks(&sent), half.agrees(&sent)), (Some(6), Ok(())));
        // Another probe, of an operator that has just lost the lead, may talk in between.
        let all = after(4, &[(1, 5), (2, 6), (9, 7), (3, 8)]).unwrap();
        assert_eq!(all.lacks(&sent), None);
        let Err(Failure::Violation(told)) = all.agrees(&sent) else { panic!("message 7 came as 8") };
        assert!(told.message.contains("message 7 was acknowledged and came as 8"), "{}", told.message);
        assert_eq!(all.agrees(&[(id(1), 5), (id(2), 6), (id(3), 8)]), Ok(()));
    }

    #[test]
    fn twice_early_late_and_never_are_told_apart() {
        let told = |came: &[(u128, i64)]| after(4, came).unwrap_err();
        assert!(told(&[(1, 5), (1, 5)]).starts_with("DeliveredTwice: room r, gateway g1: message 5"));
        assert!(told(&[(1, 5), (1, 6)]).starts_with("DeliveredTwice"), "one message under two numbers");
        assert!(told(&[(1, 6)]).starts_with("DeliveredOutOfOrder: room r, gateway g1: message 6 came after 4"));
        assert!(told(&[(1, 4)]).starts_with("DeliveredOutOfOrder"));
    }

    #[test]
    fn other_rooms_and_other_frames_are_passed_over() {
        let mut observer = Observer::new("r", "g1", 4);
        let other = json!({ "type": "message", "message": { "room": "s", "message_id": id(1), "seq": 9 } });
        assert_eq!(observer.take(&other), Ok(()));
        assert_eq!(observer.take(&json!({ "type": "presence" })), Ok(()));
        assert_eq!(observer.lacks(&[(id(1), 9)]), Some(9));
    }
}
