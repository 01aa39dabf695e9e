//! Certificates for a PostgreSQL that runs already: they become part of the URIs, which gateways read for every connection.

use chat_crds::chat_cluster as crd;

use super::{Problem, References, SecretKey, ValidateError};
use crate::{
    reconcile::validated::{EngineShard, GivenCertificate},
    sensitive::{Sensitive, uri_part},
};

/// Parameters that say what `tls` says, in both spellings of the driver.
const SAID_TWICE: [&str; 7] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];
const MODE: [&str; 2] = ["sslmode", "ssl-mode"];
/// Modes by which somebody's certificate is verified.
const VERIFYING: [&str; 2] = ["verify-full", "verify-ca"];

impl References<'_> {
    /// The URIs of gateways and of the owner, given where they are and their contents, with the certificates of `tls` in them.
    pub(super) fn with_certificates(
        &self,
        shard: &str,
        at: [&SecretKey; 2],
        uris: &[Sensitive; 2],
        tls: &crd::ShardTls,
    ) -> Result<EngineShard, ValidateError> {
        // No rest pattern: a new field must not be accepted and then ignored.
        let crd::ShardTls { ca_secret_ref, client_certificate_secret_ref, migration_certificate_secret_ref } = tls;
        let field = |name: &str| format!("spec.database.shards[{shard}].tls.{name}");
        let ca = ca_secret_ref.as_ref().map(|from| self.certificates(&field("caSecretRef"), from)).transpose()?;
        let client = self.shown_at(&field("clientCertificateSecretRef"), client_certificate_secret_ref.as_ref())?;
        let owner =
            self.shown_at(&field("migrationCertificateSecretRef"), migration_certificate_secret_ref.as_ref())?;
        let places = [place(shard, at[0], &uris[0])?, place(shard, at[1], &uris[1])?];
        let whole = |place: &Sensitive, shown: Option<&Shown>| {
            let mut uri = place.expose().to_owned();
            let mut add = |name: &str, pem: &Sensitive| uri.push_str(&pem_parameter(name, pem));
            if let Some((_, ca)) = &ca {
                add("sslrootcert", ca);
            }
            if let Some(shown) = shown {
                add("sslcert", &shown.certificate.content);
                add("sslkey", &shown.key);
            }
            Sensitive::new(uri)
        };
        let uri = whole(&places[0], client.as_ref());
        let migration_uri = whole(&places[1], owner.as_ref().or(client.as_ref()));
        let mut certificates: Vec<GivenCertificate> =
            ca.into_iter().map(|(from, content)| GivenCertificate { secret: from.secret, content }).collect();
        certificates.extend([client, owner].into_iter().flatten().map(|shown| shown.certificate));
        // With their certificates: who corrects one that was wrong wants the migration to be tried again.
        let places = [uri.clone(), migration_uri.clone()];
        Ok(EngineShard { uri, migration_uri, places, certificates })
    }

    fn shown_at(&self, field: &str, from: Option<&crd::TlsSecretRef>) -> Result<Option<Shown>, ValidateError> {
        let Some(from) = from else { return Ok(None) };
        let (content, key) = self.shown(field, &from.name)?;
        Ok(Some(Shown { certificate: GivenCertificate { secret: from.name.clone(), content }, key }))
    }
}

/// What is shown to a server.
struct Shown {
    certificate: GivenCertificate,
    key: Sensitive,
}

/// The URI with a mode that verifies the server, and without certificates.
fn place(shard: &str, at: &SecretKey, uri: &Sensitive) -> Result<Sensitive, ValidateError> {
    let uri = uri.expose().trim();
    let query = uri.split_once('?').map(|(_, query)| query);
    let parameters =
        query.iter().flat_map(|query| query.split('&')).map(|one| one.split_once('=').unwrap_or((one, "")));
    let parameters: Vec<(&str, &str)> = parameters.filter(|(name, _)| !name.is_empty()).collect();
    // The value itself is never shown: it holds a password.
    let refuse = |problem: String| {
        let SecretKey { secret, key } = at;
        let message =
            format!("spec.database.shards[{shard}].tls: the URI under the key {key} of Secret {secret} has {problem}");
        Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)))
    };
    if let Some((name, _)) = parameters.iter().find(|(name, _)| SAID_TWICE.contains(name)) {
        return refuse(format!("{name}, which is what tls is for; take it out of the URI"));
    }
    let mode = parameters.iter().find(|(name, _)| MODE.contains(name)).map(|(_, mode)| *mode);
    if let Some(mode) = mode.filter(|mode| !VERIFYING.contains(mode)) {
        return refuse(format!("sslmode={mode}, which verifies nobody; take it out, or set verify-full or verify-ca"));
    }
    let mut place = uri.to_owned();
    if mode.is_none() {
        place.push(match query {
            None => '?',
            Some(_) => '&',
        });
        place.push_str("sslmode=verify-full");
    }
    Ok(Sensitive::new(place))
}

/// The parameter `name` of a URI, with certificates or a key in place of a path, so that one file has all that a connection needs.
pub(super) fn pem_parameter(name: &str, pem: &Sensitive) -> String {
    format!("&{name}={}", uri_part(blocks(pem.expose()).trim()))
}

/// The PEM blocks of a text without what may stand around them: the driver takes a text that begins with anything else for the name of a file.
fn blocks(text: &str) -> String {
    let (mut kept, mut inside) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        inside |= line.starts_with("-----BEGIN ");
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.starts_with("-----END ");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(uri: &str) -> Result<String, String> {
        let at = SecretKey { secret: "my-shard".to_owned(), key: "uri".to_owned() };
        match place("a", &at, &Sensitive::new(uri)) {
            Ok(place) => Ok(place.expose().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_server_is_verified_in_any_case() {
        assert_eq!(place_of("postgresql://u@h/d\n").unwrap(), "postgresql://u@h/d?sslmode=verify-full");
        assert_eq!(place_of("postgresql://u@h/d?x=1").unwrap(), "postgresql://u@h/d?x=1&sslmode=verify-full");
        let kept = "postgresql://u@h/d?sslmode=verify-ca";
        assert_eq!(place_of(kept).unwrap(), kept);
        for mode in ["require", "prefer", "disable", ""] {
            let refused = place_of(&format!("postgresql://u:secret@h/d?sslmode={mode}")).unwrap_err();
            assert!(refused.contains("spec.database.shards[a].tls") && refused.contains("verify-full"), "{refused}");
            assert!(!refused.contains("secret@"), "{refused}");
        }
        assert!(place_of("postgresql://u@h/d?sslrootcert=/ca").unwrap_err().contains("take it out"));
    }

    #[test]
    fn what_stands_around_certificates_is_left_out() {
        let text = "Bag Attributes\n  name: x\n-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\nsubject=b\n-----BEGIN CERTIFICATE-----\nBB\n-----END CERTIFICATE-----\n";
        let kept = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBB\n-----END CERTIFICATE-----\n";
        assert_eq!(blocks(text), kept);
    }
}
