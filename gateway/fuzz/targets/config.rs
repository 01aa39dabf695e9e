//! The configuration, and the headers that tell of addresses and origins.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, HeaderValue};
use chat_gateway::{auth::names, http::ClientAddress};
use chat_gateway_config::{AllowedOrigin, Cidr, GatewayConfig, Origin};

/// A configuration file. One that is accepted reads back as it was written.
pub(super) fn file(data: &[u8]) {
    let Ok(config) = serde_json::from_slice::<GatewayConfig>(data) else { return };
    let again = serde_json::to_vec(&config).expect("a configuration can be written");
    assert_eq!(serde_json::from_slice::<GatewayConfig>(&again).expect("its own words"), config);
    if let Err(error) = config.validate() {
        assert!(!error.field.is_empty() && !error.message.is_empty());
    }
}

/// Lines: an origin, a host, a network, a name, and what proxies say.
pub(super) fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (origin, host, network, name) = (next(), next(), next(), next());
    if let Ok(origin) = origin.parse::<Origin>() {
        assert_eq!(origin.to_string().parse::<Origin>().as_ref(), Ok(&origin));
        let _ = origin.is_of_host(host);
    }
    if let Ok(allowed) = origin.parse::<AllowedOrigin>() {
        assert_eq!(allowed.to_string().parse::<AllowedOrigin>(), Ok(allowed));
    }
    let trusted: Vec<Cidr> = network.parse().into_iter().collect();
    for network in &trusted {
        assert_eq!(network.to_string().parse::<Cidr>().as_ref(), Ok(network));
    }
    if let Ok(folded) = names::fold_name(name) {
        assert_eq!(names::fold_name(&folded).as_ref(), Ok(&folded), "folding it again changes nothing");
    }
    let _ = names::display_name(Some(name), "name");
    let mut map = HeaderMap::new();
    for (at, line) in lines.enumerate() {
        let header = if at % 2 == 0 { "x-forwarded-for" } else { "forwarded" };
        if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
            map.append(header, value);
        }
    }
    for peer in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 1)] {
        let address = ClientAddress::of(IpAddr::V4(peer), &map, &trusted);
        assert_eq!(address, ClientAddress::of(IpAddr::V4(peer), &map, &trusted));
    }
}
