//! Keeps a session with a broker's server, for ever: connect, serve, tell why it ended, wait, again. The library's own recovery is never
//! used: it would bring connections back before all bindings stand, and with the credentials of yesterday.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use chat_gateway_config::stats::Component;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};

use super::{BrokerError, BrokerState, Delivery, Key, bindings::Bindings, connected};

/// A kind of server. The value holds the settings.
pub(super) trait Server: Sized + Send + Sync + 'static {
    /// Name of the product, for people.
    const NAME: &'static str;
    /// What publishes go through.
    type Channel: Clone + Send + Sync + 'static;
    /// An open session.
    type Session: Session<Server = Self>;

    /// Publishes and returns once the server has confirmed.
    fn publish(
        link: &Link<Self>,
        publisher: &Publisher<Self::Channel>,
        key: Key,
        body: &[u8],
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// How long a binding outlives its last reference.
    fn linger(&self) -> Duration;
}

/// An open session with a server: from the first byte to the error that ends it.
pub(super) trait Session: Sized + Send {
    /// What it is a session with.
    type Server: Server<Session = Self>;
    /// Why there is none, or no longer.
    type Error: Failure;

    /// Connects and declares what the server must know.
    fn open(server: &Self::Server) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Makes all bindings, tells [`Link::stands`], and serves until something fails; `Ok` means that nobody takes deliveries any more.
    fn serve(
        self,
        link: &Link<Self::Server>,
        deliveries: &mpsc::Sender<Delivery>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Why a session ended.
pub(super) trait Failure: Send {
    /// For `/stats`, without credentials.
    fn component(&self) -> Component;
}

/// First and longest pause between two tries. Two seconds is short enough that a broker's restart is not felt for longer than it takes,
/// and with the jitter below a hundred gateways are at most about a hundred tries a second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The connection as the rest of the gateway sees it.
pub(super) struct Link<S: Server> {
    server: S,
    bindings: Bindings,
    /// What publishes go through, while a session stands and the server takes publishes.
    publisher: Mutex<Option<Publisher<S::Channel>>>,
    state: watch::Sender<BrokerState>,
    /// Number of the session that somebody has seen to be no use, and what wakes it.
    suspect: AtomicU64,
    suspicion: Notify,
}

/// Where publishes go, and in which session; a session's number is the epoch it began with.
#[derive(Clone)]
pub(super) struct Publisher<C> {
    pub(super) channel: C,
    pub(super) session: u64,
}

impl<S: Server> Link<S> {
    pub(super) fn new(server: S) -> Self {
        let message = format!("connecting to {} for the first time", S::NAME);
        let starting = Component { available: false, reason: "Connecting".into(), message };
        Self {
            bindings: Bindings::new(server.linger()),
            server,
            publisher: Mutex::default(),
            state: watch::Sender::new(BrokerState { epoch: 0, component: starting }),
            suspect: AtomicU64::new(0),
            suspicion: Notify::new(),
        }
    }

    pub(super) fn server(&self) -> &S {
        &self.server
    }

    pub(super) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    pub(super) fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.subscribe()
    }

    pub(super) fn component(&self) -> Component {
        self.state.borrow().component.clone()
    }

    pub(super) fn publisher(&self) -> Option<Publisher<S::Channel>> {
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_publisher(&self, publisher: Option<Publisher<S::Channel>>) {
        *self.publisher.lock().unwrap_or_else(PoisonError::into_inner) = publisher;
    }

    /// Somebody has seen that a session is no use. Named by number, since the word may come late, when a better one stands.
    pub(super) fn suspect(&self, session: u64) {
        self.suspect.fetch_max(session, SeqCst);
        self.suspicion.notify_one();
    }

    /// Returns when this session is suspected.
    pub(super) async fn suspected(&self, session: u64) {
        loop {
            self.suspicion.notified().await;
            if self.suspect.load(SeqCst) >= session {
                return;
            }
        }
    }

    /// All bindings stand: publishes may pass, and the hub must ask the store for what it missed. Returns the session's number.
    pub(super) fn stands(&self, channel: S::Channel) -> u64 {
        self.stands_as(channel, answers::<S>())
    }

    /// The same for a session in which some of several servers are missing: what lies on those can be neither published nor heard.
    pub(super) fn stands_in_part(&self, channel: S::Channel, missing: Component) -> u64 {
        self.stands_as(channel, missing)
    }

    fn stands_as(&self, channel: S::Channel, component: Component) -> u64 {
        let session = self.state.borrow().epoch + 1;
        self.set_publisher(Some(Publisher { channel, session }));
        self.state.send_modify(|state| {
            state.epoch = session;
            state.component = component;
        });
        session
    }

    /// Some of several servers are missing from here on; publishes and deliveries by the others go on.
    pub(super) fn in_part(&self, missing: Component) {
        self.state.send_if_modified(|state| {
            let changed = state.component != missing;
            if changed {
                tracing::warn!(reason = missing.reason, cause = missing.message, "{} is away in part", S::NAME);
                state.component = missing;
            }
            changed
        });
    }

    /// No server is missing (any more), and all bindings stand (again); deliveries may have been lost.
    pub(super) fn whole_again(&self) {
        self.state.send_modify(|state| {
            state.epoch += 1;
            state.component = answers::<S>();
        });
    }

    /// The server takes no publishes for now, being short of something; deliveries go on.
    pub(super) fn blocked(&self, cause: &str) {
        self.set_publisher(None);
        let message = format!("{} takes no messages: {cause}", S::NAME);
        tracing::warn!("{message}");
        self.state.send_modify(|state| {
            state.component = Component { available: false, reason: "Blocked".into(), message };
        });
    }

    /// The server takes publishes again. Nothing was lost.
    pub(super) fn unblocked(&self, publisher: Publisher<S::Channel>) {
        self.set_publisher(Some(publisher));
        self.state.send_modify(|state| state.component = answers::<S>());
    }

    /// Deliveries were lost although the session stands.
    pub(super) fn lost_deliveries(&self) {
        self.state.send_modify(|state| state.epoch += 1);
    }

    fn ended(&self, component: Component) {
        self.set_publisher(None);
        self.bindings.disconnected();
        self.state.send_if_modified(|state| {
            let changed = state.component != component;
            if changed {
                tracing::warn!(reason = component.reason, cause = component.message, "{} is away", S::NAME);
                state.component = component;
            }
            changed
        });
    }

    pub(super) async fn run(self: Arc<Self>, deliveries: mpsc::Sender<Delivery>) {
        let mut pause = FIRST_PAUSE;
        loop {
            // On the heap: connecting is the larger part of this future by far, and lasts a moment.
            let outcome = match Box::pin(S::Session::open(&self.server)).await {
                Ok(session) => {
                    pause = FIRST_PAUSE;
                    Box::pin(session.serve(&self, &deliveries)).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => return,
                Err(error) => self.ended(error.component()),
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn answers<S: Server>() -> Component {
    connected(&format!("{} answers", S::NAME))
}
