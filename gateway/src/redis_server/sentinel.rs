//! Which server is the primary: asked of all sentinels at once, and decided by most of their answers.
//!
//! One that is cut off from the others goes on naming the primary from before, so the first to answer need not be right.

use std::{collections::HashMap, time::Duration};

use chat_gateway_config::{HostPort, Sentinels, stats::Component};
use futures::future::join_all;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::{
    address::connection_info,
    certificates::Certificates,
    reason::{describe, down},
};
use crate::tls_failure::TLS_FAILED;

/// Time for a sentinel's answer, its connection included; all are asked at once, so one that is away costs no more than this.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The server that most of the sentinels that answer call the primary.
pub(super) async fn primary(sentinels: &Sentinels, certificates: &Certificates) -> Result<HostPort, Component> {
    let asked = join_all(sentinels.hosts.iter().map(|sentinel| ask(sentinels, sentinel, certificates))).await;
    decide(&sentinels.service, asked)
}

async fn ask(
    sentinels: &Sentinels,
    sentinel: &HostPort,
    certificates: &Certificates,
) -> Result<Option<HostPort>, Component> {
    let info = connection_info(sentinel, sentinels.tls, &sentinels.sentinel_credentials, certificates)?;
    let asked = async {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut connection = Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&sentinels.service);
        question.query_async::<Option<HostPort>>(&mut connection).await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| explain(&error)),
        Err(_) => Err(down("Timeout", "the sentinels did not answer in time")),
    }
}

/// The words of [`describe`], for sentinels.
fn explain(error: &RedisError) -> Component {
    let mut component = describe(error);
    component.message = match component.reason.as_str() {
        "AuthenticationFailed" => {
            "the sentinels refuse the user or password; set sentinelUsername and sentinelPassword in the Redis URL"
                .into()
        }
        "ConnectionRefused" => "nothing listens at the sentinels' addresses in the Redis URL".into(),
        "Timeout" => "the sentinels did not answer in time".into(),
        _ => format!("the sentinels could not be asked: {}", component.message),
    };
    component
}

fn decide(service: &str, asked: Vec<Result<Option<HostPort>, Component>>) -> Result<HostPort, Component> {
    let mut votes: HashMap<HostPort, usize> = HashMap::new();
    let (mut strangers, mut failure) = (false, None);
    for answer in asked {
        match answer {
            Ok(Some(primary)) => *votes.entry(primary).or_default() += 1,
            Ok(None) => strangers = true,
            // A refusal is what somebody must act on; silence may pass.
            Err(why) if failure.is_none() || ["AuthenticationFailed", TLS_FAILED].contains(&why.reason.as_str()) => {
                failure = Some(why)
            }
            Err(_) => {}
        }
    }
    // Of two with as many votes the same one each time, so that nobody goes to and fro between them.
    if let Some((primary, _)) = votes.into_iter().max_by(|(a, m), (b, n)| m.cmp(n).then_with(|| b.cmp(a))) {
        return Ok(primary);
    }
    if strangers {
        return Err(down(
            "UnknownService",
            format!("the sentinels watch no service {service:?}; correct the name at the end of the Redis URL"),
        ));
    }
    Err(failure.unwrap_or_else(|| down("InvalidUrl", "the Redis URL names no sentinels")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Result<Option<HostPort>, Component> {
        Ok(Some(("h".to_owned(), port)))
    }

    fn failed(reason: &str) -> Result<Option<HostPort>, Component> {
        Err(down(reason, ""))
    }

    #[test]
    fn most_answers_decide_and_silence_does_not_count() {
        let port = |asked| decide("m", asked).unwrap().1;
        assert_eq!(port(vec![at(1), at(2), at(2)]), 2);
        assert_eq!(port(vec![failed("Timeout"), at(3), Ok(None)]), 3);
        assert_eq!(port(vec![at(2), at(1)]), port(vec![at(1), at(2)]));
    }

    #[test]
    fn without_an_answer_the_most_telling_reason_is_given() {
        let reason = |asked| decide("m", asked).unwrap_err().reason;
        assert_eq!(reason(vec![failed("Timeout"), Ok(None)]), "UnknownService");
        assert_eq!(reason(vec![failed("Timeout"), failed("AuthenticationFailed")]), "AuthenticationFailed");
        assert_eq!(reason(vec![failed("ConnectionRefused"), failed("Timeout")]), "ConnectionRefused");
    }
}
