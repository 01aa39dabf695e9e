//! Reading URIs: how to connect, and which user and password gateways will use.

use std::path::Path;

use chat_shards::Login;
use percent_encoding::percent_decode_str;
use sqlx::postgres::PgConnectOptions;

use super::MigrateError;
use crate::postgres_uri;

/// What a line of a URI file says.
pub(super) struct UriFile {
    /// To connect with.
    pub(super) options: PgConnectOptions,
    /// User and password, decoded.
    pub(super) login: Login,
}

/// Reads a file: the URI that is in use, and those that come after it or are on their way out. No error quotes its contents.
pub(super) async fn read(shard: &str, path: &Path) -> Result<(UriFile, Vec<UriFile>), MigrateError> {
    let fail = |cause: String| MigrateError::Uri { shard: shard.to_owned(), path: path.display().to_string(), cause };
    let text = tokio::fs::read_to_string(path).await.map_err(|e| fail(e.to_string()))?;
    let all: Option<Vec<UriFile>> = postgres_uri::each(&text).into_iter().map(parse).collect();
    let mut all = all.unwrap_or_default().into_iter();
    let first = all.next().ok_or_else(|| fail("it holds no valid postgresql:// URI".to_owned()))?;
    Ok((first, all.collect()))
}

fn parse(uri: &str) -> Option<UriFile> {
    let options = postgres_uri::parse(uri)?;
    let parsed = url::Url::parse(uri).ok()?;
    let password = parsed.password().map(|p| percent_decode_str(p).decode_utf8_lossy().into_owned());
    let login = Login { user: options.get_username().to_owned(), password };
    Some(UriFile { options, login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_user_and_password() {
        let file = parse("postgresql://chat_gateway:p%40s%2Fs@db:5432/chat").unwrap();
        assert_eq!(file.login.user, "chat_gateway");
        assert_eq!(file.login.password.as_deref(), Some("p@s/s"));
        assert!(parse("not a uri").is_none());
    }
}
