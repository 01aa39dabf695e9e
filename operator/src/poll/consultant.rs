//! Asks a Prometheus beside the rounds of questions: it may take longer than a round, and no other cluster waits for it.

use std::time::Duration;

use futures::{FutureExt as _, future::join_all};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    prometheus::Source,
    rollout::{Answered, Query},
};

/// Time between two sets of questions.
const PERIOD: Duration = Duration::from_secs(10);

/// Whom to ask, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Consultation {
    /// The Prometheus.
    pub source: Source,
    /// What it is asked.
    pub queries: Vec<Query>,
}

/// Asks for one cluster.
#[derive(Debug, Default)]
pub(super) struct Consultant {
    consultation: Option<Consultation>,
    asked: Option<Instant>,
    asking: Option<JoinHandle<Vec<Answered>>>,
}

impl Consultant {
    /// From now on asks this, and nobody if it is `None`. Answers to other questions are not waited for.
    pub(super) fn instruct(&mut self, consultation: Option<Consultation>) {
        if self.consultation != consultation {
            *self = Self { consultation, asked: None, asking: None };
        }
    }

    /// Whether there is something to ask.
    pub(super) fn is_instructed(&self) -> bool {
        self.consultation.is_some()
    }

    /// The answers that have come since the last round, if all of a set have. Asks again where `due` and it is time.
    pub(super) fn round(&mut self, due: bool, now: Instant) -> Option<Vec<Answered>> {
        let answers = match &mut self.asking {
            Some(asking) => match asking.now_or_never() {
                Some(ended) => {
                    self.asking = None;
                    ended.ok()
                }
                None => None,
            },
            None => None,
        };
        let is_time = self.asked.is_none_or(|asked| now.duration_since(asked) >= PERIOD);
        if let Some(Consultation { source, queries }) =
            self.consultation.as_ref().filter(|_| due && is_time && self.asking.is_none())
        {
            let (source, queries) = (source.clone(), queries.clone());
            self.asked = Some(now);
            self.asking = Some(tokio::spawn(async move {
                join_all(queries.into_iter().map(|query| async {
                    let answer = source.ask(&query.text).await.map_err(|error| error.to_string());
                    (query, answer)
                }))
                .await
            }));
        }
        answers
    }
}

impl Drop for Consultant {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const ANSWER: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"4"]}}"#;

    /// Answers each request with [`ANSWER`]; returns its address, and what it was asked as it comes.
    async fn stub() -> (String, tokio::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, requests) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let length = stream.read(&mut request).await.unwrap();
                heard.send(String::from_utf8_lossy(&request[..length]).into_owned()).await.unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", ANSWER.len());
                stream.write_all((head + ANSWER).as_bytes()).await.unwrap();
            }
        });
        (format!("http://{address}"), requests)
    }

    async fn answers(consultant: &mut Consultant, now: Instant) -> Vec<Answered> {
        loop {
            if let Some(answers) = consultant.round(false, now) {
                return answers;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn asks_beside_the_rounds_when_it_is_due_and_no_more_often() {
        let (url, mut requests) = stub().await;
        let source = Source { url, token: None, authorities: None };
        let query = Query { name: "a".to_owned(), text: "sum(up) > 1".to_owned(), min: None, max: Some(5.0) };
        let mut consultant = Consultant::default();
        let start = Instant::now();
        assert!(consultant.round(true, start).is_none() && !consultant.is_instructed());
        let consultation = Consultation { source, queries: vec![query.clone()] };
        consultant.instruct(Some(consultation.clone()));
        assert!(consultant.round(false, start).is_none() && requests.try_recv().is_err(), "nothing is due");
        assert!(consultant.round(true, start).is_none(), "a round does not wait");
        let asked = requests.recv().await.unwrap();
        assert!(asked.starts_with("GET /api/v1/query?query=sum%28up%29%20%3E%201 HTTP/1.1\r\n"), "{asked}");
        assert_eq!(answers(&mut consultant, start).await, vec![(query, Ok(4.0))]);
        consultant.instruct(Some(consultation));
        assert!(consultant.round(true, start + PERIOD / 2).is_none() && consultant.asking.is_none(), "too soon");
        consultant.round(true, start + PERIOD);
        requests.recv().await.unwrap();
        consultant.instruct(None);
        assert!(consultant.round(true, start + PERIOD * 3).is_none() && consultant.asking.is_none());
    }
}
