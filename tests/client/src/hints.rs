//! Asking a gateway where to connect.

use serde::Deserialize;

use crate::{accounts, addresses::Addresses};

#[derive(Deserialize)]
struct Answer {
    addresses: Vec<String>,
    #[allow(dead_code, reason = "read to check that it is there")]
    good_for_seconds: u64,
}

/// What the gateway at an address says to `GET /v1/connect`: `host:port` of gateways, the best first, and of the address itself.
///
/// # Errors
/// In words: there is no answer, a refusal, or an address that is not `ws://host:port`.
pub async fn ask(address: &str) -> Result<Vec<String>, String> {
    let (status, body) = accounts::get(address, "/v1/connect", None).await.map_err(|error| error.to_string())?;
    let text = || format!("{status}: {}", String::from_utf8_lossy(&body));
    if !status.is_success() {
        return Err(text());
    }
    let Answer { addresses, .. } = serde_json::from_slice(&body).map_err(|_| text())?;
    let plain = |address: &String| address.strip_prefix("ws://").map(str::to_owned).ok_or_else(text);
    addresses.iter().map(plain).collect()
}

/// The addresses in the order in which they are to be tried: those that the first one of the list that answers names, then the list itself; `avoid` goes last.
pub(crate) async fn candidates(list: &Addresses, avoid: Option<&str>) -> Vec<String> {
    let own = list.candidates(avoid);
    let mut named = Vec::new();
    for address in &own {
        match ask(address).await {
            Ok(answer) => {
                named = answer;
                break;
            }
            Err(error) => tracing::debug!(address, error, "no advice"),
        }
    }
    let mut all = Addresses::new(named).candidates(avoid);
    for address in own {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}
