//! The delivery probe: chats through a cluster's own front door, as its clients do, and looks whether what was acknowledged is kept and comes
//! once and in order. It needs no password: the operator has the key that signs the cluster's tokens.
//!
//! What it finds is a [`Failure`] or nothing. When it runs and what follows from it is decided in `poll/prober.rs`.

mod chat;
mod observer;
mod session;
mod token;

use std::borrow::Cow;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::sensitive::Sensitive;

/// The probe's whole time: over the sum of the waits of [`chat`], so that only a defect reaches it.
const WHOLE: std::time::Duration = std::time::Duration::from_secs(55);

/// Where clients come in, and how the probe shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// Address and port of the gateways' Service, which clients in this Kubernetes use.
    pub address: String,
    /// `namespace/name` of the ChatCluster: the issuer of its tokens.
    pub issuer: String,
    /// The cluster's signing keys, PEM.
    pub keys: Sensitive,
    /// Id of the key that every gateway has.
    pub signer: String,
    /// Violations up to this moment are forgiven: a person has seen them.
    pub cleared: Option<Timestamp>,
}

/// A reason and a sentence, as a condition has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// One CamelCase word.
    pub reason: &'static str,
    /// A sentence for a person. Mostly one of those that need no memory: there is one for each ChatCluster.
    pub message: Cow<'static, str>,
}

impl Told {
    fn new(reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What a probe came to, if not to nothing worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It could not chat, and knows nothing.
    Trouble(Told),
    /// Something that was acknowledged was lost, came twice, late for ever, or out of order.
    Violation(Told),
}

impl Failure {
    fn trouble(reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Trouble(Told::new(reason, message))
    }

    fn violation(reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Violation(Told::new(reason, message))
    }
}

/// Chats once, in the room of this number (see [`chat_gateway_config::probe::ROOMS`]). It takes about half a second where all is well, and
/// less than a minute in any case.
///
/// # Errors
/// [`Failure`].
pub async fn probe(front: &Front, room: u8) -> Result<(), Failure> {
    // On the heap: many futures of probes wait in the poller's tasks, and each is large.
    let chatting = Box::pin(chat::chat(front, room));
    timeout(WHOLE, chatting)
        .await
        .unwrap_or_else(|_| Err(Failure::trouble("ProbeSlow", format!("the probe did not end within {WHOLE:?}"))))
}
