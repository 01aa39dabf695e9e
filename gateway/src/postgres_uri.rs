//! How to connect to a PostgreSQL, by its URI. Pure.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Begins what is a certificate or a key itself, where others have the path of a file.
const PEM: &str = "-----BEGIN ";

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

#[cfg(test)]
mod tests {
    use super::*;

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
