//! Reads the configuration file and the files it points at.

use std::path::{Path, PathBuf};

use chat_gateway_config::{AdminTokensError, ConfigError, GatewayConfig, KeyError};
use serde::de::DeserializeOwned;

use crate::live::ShardsFolder;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("failed to read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is no JSON of the right shape.
    #[error("failed to parse {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The signing keys cannot be used.
    #[error("auth.signingKeyFile {path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The tokens of the admin port cannot be used.
    #[error("adminTokenFile {path} {source}")]
    AdminTokens {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AdminTokensError,
    },
    /// The folder of shards names none.
    #[error(
        "CHAT_GATEWAY_SHARDS_DIR (--shards-dir) {path}: {problem}; give a folder with a file for each shard, its name that of the shard and its \
         content the shard's URI, or leave the option out for the shards in database.shards"
    )]
    Shards {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A field is out of its range.
    #[error("the configuration cannot be used: {0}")]
    Field(#[from] ConfigError),
}

/// Reads and checks the configuration; no socket has been opened yet.
///
/// # Errors
/// [`SettingsError`], which names the file or the field.
pub fn load(path: &Path) -> Result<GatewayConfig, SettingsError> {
    load_with(path, None)
}

/// As [`load`], with the shards of a folder in place of `database.shards`.
///
/// # Errors
/// [`SettingsError`], which names the file or the field.
pub fn load_with(path: &Path, shards: Option<&ShardsFolder>) -> Result<GatewayConfig, SettingsError> {
    let text = read(path)?;
    let mut config: GatewayConfig = parse(path, &text)?;
    if let Some(folder) = shards {
        config.database.shards = folder.shards();
    }
    config.validate()?;
    Ok(config)
}

/// The content of a file, which `path` is named for in errors.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, SettingsError> {
    serde_json::from_str(text).map_err(|source| SettingsError::Parse { path: path.to_owned(), source })
}

/// Reads a file with a secret value; the line break that editors and `echo` leave at its end is dropped.
///
/// # Errors
/// [`SettingsError::Read`].
pub fn read(path: &Path) -> Result<String, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_or_the_field() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        assert!(load(&path).unwrap_err().to_string().contains("config.json"));
        std::fs::write(&path, "{\"cluster\":1}").unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn a_secret_loses_its_last_line_break_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " a b \n").unwrap();
        assert_eq!(read(&path).unwrap(), " a b ");
    }
}
