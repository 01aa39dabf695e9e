//! The port of HAProxy's agent-check: a load balancer asks how much more this gateway takes. Nothing secret is told here, and nothing ordered.

use std::{sync::Arc, time::Duration};

use chat_gateway_config::agent::{Capacity, QUESTION_BYTES};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Admin;

/// Questions at the same time; there are some dozen balancers at most, and each asks once a second.
const QUESTIONS: usize = 64;
/// Time for one question and its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause when a connection cannot be accepted, for instance for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(QUESTIONS));
    loop {
        // Never closed, so there is always a place in the end.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    // A balancer that goes away while it asks has its answer at the next connection.
                    let _ = timeout(PATIENCE, answer(stream, || admin.capacity())).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a balancer could not ask");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Reads one line and answers it.
async fn answer(mut stream: TcpStream, capacity: impl Fn() -> Capacity) -> std::io::Result<()> {
    let mut question = [0; QUESTION_BYTES];
    let mut length = 0;
    while length < question.len() && !question[..length].contains(&b'\n') {
        match stream.read(&mut question[length..]).await? {
            0 => break,
            more => length += more,
        }
    }
    let question = String::from_utf8_lossy(&question[..length]);
    stream.write_all(capacity().answer(&question).as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(pieces: &[&str], capacity: Capacity) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let answering = tokio::spawn(async move { answer(accepted, || capacity).await });
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answering.await.unwrap().unwrap();
        answer
    }

    #[tokio::test]
    async fn a_balancer_asks_in_any_pieces_and_gets_one_line() {
        let full = Capacity { connections: 90, limit: 100, age: Some(Duration::from_secs(60)), closed: false };
        for pieces in [&["200\n"][..], &["20", "0\n"], &["200"]] {
            assert_eq!(ask(pieces, full).await, "ready up 20% maxconn:100\n", "{pieces:?}");
        }
        assert_eq!(ask(&["200\n"], Capacity { closed: true, ..full }).await, "drain\n");
        assert_eq!(ask(&["x".repeat(QUESTION_BYTES).as_str()], full).await, "ready up 40% maxconn:100\n");
    }
}
