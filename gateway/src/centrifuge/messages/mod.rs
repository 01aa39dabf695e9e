//! The messages of the Centrifuge client protocol, version 2, as far as this gateway uses them.
//!
//! One definition serves both encodings: field numbers are Protobuf's, field names are JSON's, and both are facts of the protocol. What
//! is not named here is ignored when it comes in. `data` and `conn_info` hold JSON text in both: in a JSON frame as it is, in Protobuf
//! as bytes.

mod from_client;
mod raw;
mod to_client;

pub(crate) use self::{
    from_client::{Command, HistoryRequest, PublishRequest, RpcRequest, SendRequest, StreamPosition, SubscribeRequest},
    to_client::{
        ClientInfo, ConnectResult, Done, Error, HistoryResult, Payload, PresenceResult, PresenceStatsResult,
        Publication, Push, RefreshResult, Reply, SubscribeResult, Unsubscribe,
    },
};
