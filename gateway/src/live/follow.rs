//! Follows the files that may change: the live configuration, the signing keys, and the tokens of the admin port.
//!
//! The files are read every few seconds and compared by content. Kubernetes changes a mounted file by a link that it renames, which leaves no trace
//! at the file itself, and a few hundred bytes from memory cost less than a watch that has to know about that.

use std::{fmt::Display, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chat_gateway_config::{AdminTokens, GatewayConfig, LiveConfig, LogLevel, SigningKeys, stats::Taken};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Current;
use crate::{
    audit::{self, Act, By, Outcome, Record},
    auth::Keyring,
    settings::{self, SettingsError},
    telemetry,
};

/// Time between two looks at the files. Kubernetes itself needs up to a minute or two to bring them.
const EVERY: Duration = Duration::from_secs(2);

/// Where a change takes effect.
#[derive(Clone)]
pub struct Swaps {
    /// Limits and the like.
    pub config: Arc<Current>,
    /// Keys of tokens.
    pub keys: Arc<Keyring>,
    /// Tokens of the admin port.
    pub admin_tokens: Arc<ArcSwap<AdminTokens>>,
}

/// One gateway's files, and what was taken from them last.
pub struct Follower {
    base: GatewayConfig,
    live: Option<Followed<(LiveConfig, String)>>,
    keys: Followed<SigningKeys>,
    admin_tokens: Followed<AdminTokens>,
}

/// A file, what it said last, and the last good of it.
struct Followed<T> {
    path: PathBuf,
    seen: String,
    good: T,
    error: Option<String>,
}

impl<T> Followed<T> {
    fn open(path: PathBuf, parse: impl Fn(&str) -> Result<T, SettingsError>) -> Result<Self, SettingsError> {
        let seen = read(&path)?;
        let good = parse(&seen)?;
        Ok(Self { path, seen, good, error: None })
    }

    /// Looks at the file again; tells whether there is something new, good or not.
    fn look(&mut self, parse: impl Fn(&str) -> Result<T, SettingsError>) -> bool {
        let text = match read(&self.path) {
            // After a refusal it counts also when what was there before is back.
            Ok(text) if text == self.seen && self.error.is_none() => return false,
            Ok(text) => text,
            Err(error) => return self.refuse(&error),
        };
        match parse(&text) {
            Ok(good) => {
                (self.good, self.seen, self.error) = (good, text, None);
                true
            }
            Err(error) => self.refuse(&error),
        }
    }

    /// Keeps the last good; tells whether that is news.
    fn refuse(&mut self, error: &dyn Display) -> bool {
        let error = error.to_string();
        if self.error.as_ref() == Some(&error) {
            return false;
        }
        tracing::warn!(file = %self.path.display(), error, "a changed file is no use; what was before goes on");
        self.error = Some(error);
        true
    }
}

impl Follower {
    /// Reads the files of a configuration for the first time.
    ///
    /// # Errors
    /// [`SettingsError`], which names the file or the field. At its start a gateway has nothing better to go on with.
    pub fn open(base: GatewayConfig) -> Result<Self, SettingsError> {
        let live =
            base.live_file.clone().map(|path| Followed::open(path, |text| parse_live(&base, text))).transpose()?;
        let path = base.auth.signing_key_file.clone();
        let keys = Followed::open(path.clone(), |text| parse_keys(&path, text))?;
        let path = base.admin_token_file.clone();
        let admin_tokens = Followed::open(path.clone(), |text| parse_admin_tokens(&path, text))?;
        Ok(Self { base, live, keys, admin_tokens })
    }

    /// The configuration to start with.
    #[must_use]
    pub fn config(&self) -> GatewayConfig {
        self.live.as_ref().map_or_else(|| self.base.clone(), |live| live.good.0.over(&self.base))
    }

    /// The keys to start with.
    #[must_use]
    pub fn keyring(&self) -> Keyring {
        Keyring::new(&self.keys.good, self.signer())
    }

    /// The tokens of the admin port to start with.
    #[must_use]
    pub fn admin_tokens(&self) -> AdminTokens {
        self.admin_tokens.good.clone()
    }

    /// Puts in force what was read, and then what changes, until it is stopped.
    pub async fn run(mut self, swaps: Swaps, stop: CancellationToken) {
        self.put(&swaps);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if self.look() {
                self.put(&swaps);
            }
            audit::catch_up(false);
        }
    }

    /// Tells what is in force before anybody asks.
    pub fn tell(&self, swaps: &Swaps) {
        swaps.config.tell(self.taken(&swaps.keys));
    }

    fn look(&mut self) -> bool {
        let Self { base, live, keys, admin_tokens } = self;
        // All are looked at, whatever the others bring.
        let has_live = live.as_mut().is_some_and(|live| live.look(|text| parse_live(base, text)));
        let path = keys.path.clone();
        let has_keys = keys.look(|text| parse_keys(&path, text));
        let path = admin_tokens.path.clone();
        let has_admin_tokens = admin_tokens.look(|text| parse_admin_tokens(&path, text));
        has_live || has_keys || has_admin_tokens
    }

    fn put(&self, swaps: &Swaps) {
        swaps.config.set(self.config());
        swaps.keys.replace(&self.keys.good, self.signer());
        swaps.admin_tokens.store(Arc::new(self.admin_tokens()));
        telemetry::set_level(self.level());
        let taken = self.taken(&swaps.keys);
        let before = swaps.config.told();
        if before.as_deref() != Some(&taken) {
            let Taken { config, keys, signs, admin_tokens, .. } = &taken;
            tracing::info!(config, ?keys, signs, admin_tokens = admin_tokens.len(), "this is in force now");
            if before.as_ref().is_none_or(|before| (&before.keys, &before.signs) != (keys, signs)) {
                let keys = Some((keys.as_slice(), signs.as_str()));
                Record { keys, ..Record::new(Act::SigningKeys, By::Files, None) }.write(Outcome::Done);
            }
            if before.as_ref().is_none_or(|before| &before.config != config) {
                let config = config.as_deref();
                Record { config, ..Record::new(Act::Configuration, By::Files, None) }.write(Outcome::Done);
            }
        }
        swaps.config.tell(taken);
    }

    fn taken(&self, keys: &Keyring) -> Taken {
        let of_live = self.live.as_ref().and_then(|live| live.error.clone());
        let errors = [of_live, self.keys.error.clone(), self.admin_tokens.error.clone()];
        let errors: Vec<String> = errors.into_iter().flatten().collect();
        Taken {
            config: self.live.as_ref().map(|live| live.good.1.clone()),
            keys: keys.ids(),
            signs: keys.signer(),
            admin_tokens: self.admin_tokens.good.ids(),
            error: Some(errors.join("; ")).filter(|text| !text.is_empty()),
            // They are tried elsewhere.
            rabbitmq_uris: Vec::new(),
            redis_urls: Vec::new(),
        }
    }

    fn signer(&self) -> Option<&str> {
        self.live.as_ref()?.good.0.signing_key.as_deref()
    }

    fn level(&self) -> Option<LogLevel> {
        self.live.as_ref()?.good.0.log_level
    }
}

/// The file's content as it is: its digest is compared with what the operator wrote.
fn read(path: &std::path::Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })
}

/// A live configuration and its digest, checked together with what it is laid over.
fn parse_live(base: &GatewayConfig, text: &str) -> Result<(LiveConfig, String), SettingsError> {
    let path = base.live_file.clone().unwrap_or_default();
    let live: LiveConfig = settings::parse(&path, text)?;
    live.over(base).validate()?;
    Ok((live, LiveConfig::digest(text)))
}

fn parse_admin_tokens(path: &std::path::Path, text: &str) -> Result<AdminTokens, SettingsError> {
    AdminTokens::parse(text).map_err(|source| SettingsError::AdminTokens { path: path.to_owned(), source })
}

fn parse_keys(path: &std::path::Path, text: &str) -> Result<SigningKeys, SettingsError> {
    SigningKeys::parse(text.as_bytes()).map_err(|source| SettingsError::Key { path: path.to_owned(), source })
}
