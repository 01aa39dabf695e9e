//! How the operator asks the API server: no request waits long, so that a pass ends soon where the API server is in trouble. Who waits then is the controller, with
//! [pauses that grow](crate::backoff).

use std::{io, time::Duration};

use kube::{
    Client, Config,
    client::{ClientBuilder, retry::RetryPolicy},
};
use tower::{BoxError, ServiceBuilder};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Until an answer begins. A watch that has begun stays open; what hangs after that is given up with its pass.
const ANSWER: Duration = Duration::from_secs(10);
/// Further tries of what was answered by 429, 503 or 504. One API server of several that restarts is no news; one that stays in trouble is.
const RETRIES: u32 = 2;
/// Pause before the first further try, at least; up to three times as long, so that clients do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two tries. What an API server asks for by `Retry-After` is for the controller's own pauses: some ask for a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Requests that may wait for a connection before more of them are held back.
const WAITING: usize = 1_024;

/// A client of the API server that `config` leads to.
///
/// # Errors
/// What `config` says of TLS or of its user cannot be used.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.connect_timeout = Some(CONNECT);
    // Its default goes on for more than a minute.
    config.default_retry = false;
    // The parameters are constants that fit.
    let retries = RetryPolicy::new(FIRST_PAUSE, LONGEST_PAUSE, RETRIES, false).unwrap_or_default();
    let layers = ServiceBuilder::new().retry(retries).buffer(WAITING).map_future(|answer| async {
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(late()),
        }
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layers.into_inner()).build())
}

fn late() -> BoxError {
    let message = format!("the API server did not answer within {} s", ANSWER.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, message).into()
}
