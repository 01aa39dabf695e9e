//! How to connect to a PostgreSQL, by its URI. Pure.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Begins what is a certificate or a key itself, where others have the path of a file.
const PEM: &str = "-----BEGIN ";

/// What a URI begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Reads a `postgresql://` URI as libpq does. `sslrootcert`, `sslcert` and `sslkey` may be PEM in place of a path, so that one file has all that a
/// connection needs and changes as a whole; the driver's own parser takes paths alone. `None` for anything else: the driver's message may quote the
/// URI, password included.
pub(crate) fn parse(uri: &str) -> Option<PgConnectOptions> {
    let options = PgConnectOptions::from_str(uri).ok()?;
    let url = url::Url::parse(uri).ok()?;
    Some(url.query_pairs().filter(|(_, value)| value.starts_with(PEM)).fold(options, |options, (name, pem)| {
        let pem = pem.as_bytes();
        match name.as_ref() {
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => options.ssl_root_cert_from_pem(pem.to_vec()),
            "sslcert" | "ssl-cert" => options.ssl_client_cert_from_pem(pem),
            "sslkey" | "ssl-key" => options.ssl_client_key_from_pem(pem),
            _ => options,
        }
    }))
}

/// The URIs of a file, a line each: the first is in use, the others are to come or on their way out. A certificate in a URI may have lines of its own.
pub(crate) fn each(text: &str) -> Vec<&str> {
    let text = text.trim();
    let begins = |at: &usize| SCHEMES.iter().any(|scheme| text[*at..].starts_with(scheme));
    let further = text.match_indices('\n').map(|(at, _)| at + 1).filter(begins);
    let starts: Vec<usize> = std::iter::once(0).chain(further).collect();
    let ends = starts[1..].iter().copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| text[start..end].trim_end()).collect()
}

/// The one that is in use; empty where the file is.
pub(crate) fn first(text: &str) -> &str {
    each(text).first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_stand_one_a_line_and_certificates_within_them_on_several() {
        let pem = "postgres://a@h/d?sslrootcert=-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        let text = format!("\n{pem}\r\npostgresql://b@h/d\n\npostgresql://c@h/d\n");
        assert_eq!(each(&text), [pem, "postgresql://b@h/d", "postgresql://c@h/d"]);
        assert_eq!((first(&text), first(" \n")), (pem, ""));
    }

    #[test]
    fn certificates_stand_in_the_uri_or_in_files() {
        let uri = "postgresql://app:p@db:5432/chat?sslmode=verify-full&sslrootcert=-----BEGIN%20CERTIFICATE-----%0AAAAA%2B\
                   %0A-----END%20CERTIFICATE-----&sslcert=/tls/tls.crt&sslkey=-----BEGIN%20PRIVATE%20KEY-----";
        let told = format!("{:?}", parse(uri).unwrap());
        let inline = format!(
            "ssl_root_cert: Some(Inline({:?}))",
            b"-----BEGIN CERTIFICATE-----\nAAAA+\n-----END CERTIFICATE-----".to_vec()
        );
        let said = |what: &str| assert!(told.contains(what), "{what} is not in {told}");
        said(&inline);
        said(r#"ssl_client_cert: Some(File("/tls/tls.crt"))"#);
        said("ssl_client_key: Some(Inline(");
        assert!(parse("not a uri").is_none());
    }
}
