//! How a Secret says where Redis is: one server, the sentinels that know it, or the seeds of a cluster.
//!
//! Clients have no common form for more than one address. What most of them take is understood here: a list with commas, the service's name as
//! the path (redis-sentinel-url, Lettuce's list), `sentinel…` options for the sentinels' own credentials, and `-` or `+` inside the scheme.

use percent_encoding::percent_decode_str;

/// Where servers listen unless a URL says otherwise.
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What a URL says. It holds passwords, so there is no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum RedisUrl {
    /// `redis://` or `rediss://`: one server; the URL as it was given, for the client library to read.
    Standalone(String),
    /// `redis-sentinel://` or `rediss-sentinel://`: whichever server the sentinels call the primary.
    Sentinel(Sentinels),
    /// `redis-cluster://` or `rediss-cluster://`: a Redis Cluster, of which some nodes are named.
    Cluster(Seeds),
}

/// Host name or IP address (of version 6 without brackets), and port.
pub type HostPort = (String, u16);

/// User and password; a password without a user is the default user's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user of an ACL.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// Sentinels, and what they are asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Sentinels {
    /// The sentinels; at least one.
    pub hosts: Vec<HostPort>,
    /// Name under which they watch the primary.
    pub service: String,
    /// Number of the database on the servers.
    pub database: i64,
    /// Whether connections to sentinels and servers are encrypted.
    pub tls: bool,
    /// For the servers.
    pub credentials: Credentials,
    /// For the sentinels.
    pub sentinel_credentials: Credentials,
}

/// Nodes of a cluster that are asked for all others.
#[derive(Clone, PartialEq, Eq)]
pub struct Seeds {
    /// At least one.
    pub hosts: Vec<HostPort>,
    /// Whether connections to all nodes are encrypted.
    pub tls: bool,
    /// For all nodes.
    pub credentials: Credentials,
}

/// What is wrong with a URL and what would be right; never the URL itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisUrlError {
    /// Another scheme, or none.
    Scheme,
    /// A list of addresses that is none.
    Addresses,
    /// Characters behind a `%` that are no two hexadecimal digits of UTF-8.
    Encoding,
    /// No name of a service, or more in the path than that and a database.
    Service,
    /// A path on a cluster, which has one database.
    ClusterPath,
    /// An option that is not known here.
    Option,
    /// A fragment.
    Fragment,
}

impl std::fmt::Display for RedisUrlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "it must begin with redis://, redis-sentinel:// or redis-cluster://, or for TLS with rediss://, rediss-sentinel:// or \
                 rediss-cluster://"
            }
            Self::Addresses => {
                "after the scheme and an optional user:password@ it needs host:port, or several with commas between; write / ? # @ and , \
                 in a password as %2F %3F %23 %40 and %2C"
            }
            Self::Encoding => "a % must be followed by two hexadecimal digits; write % itself as %25",
            Self::Service => {
                "behind the sentinels it needs the name of the service that they watch, and at most the number of a database after it: \
                 redis-sentinel://:password@host:26379,host:26379/mymaster"
            }
            Self::ClusterPath => "a Redis Cluster has one database; end the URL after the last host:port",
            Self::Option => {
                "an option is not known; known are sentinelUsername and sentinelPassword, of redis-sentinel:// alone; write ? in a \
                 password as %3F"
            }
            Self::Fragment => "nothing may follow a #; write # in a password as %23",
        })
    }
}

impl std::error::Error for RedisUrlError {}

impl RedisUrl {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        match self {
            Self::Standalone(url) => url.starts_with("rediss:"),
            Self::Sentinel(sentinels) => sentinels.tls,
            Self::Cluster(seeds) => seeds.tls,
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// [`RedisUrlError`] for one that nothing here understands. Whether a `redis://` URL is right in all its parts, the client library says.
    pub fn parse(text: &str) -> Result<Self, RedisUrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(RedisUrlError::Scheme)?;
        let (base, kind) = scheme.split_once(['-', '+']).unwrap_or((scheme, ""));
        let tls = match base {
            "redis" => false,
            "rediss" => true,
            _ => return Err(RedisUrlError::Scheme),
        };
        match kind {
            "" if base == scheme => Ok(Self::Standalone(text.to_owned())),
            "sentinel" => sentinels(&Parts::of(rest, SENTINEL_PORT)?, tls).map(Self::Sentinel),
            "cluster" => seeds(Parts::of(rest, REDIS_PORT)?, tls).map(Self::Cluster),
            _ => Err(RedisUrlError::Scheme),
        }
    }
}

/// A URL with several addresses, cut up.
struct Parts<'a> {
    credentials: Credentials,
    hosts: Vec<HostPort>,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str, port: u16) -> Result<Self, RedisUrlError> {
        if rest.contains('#') {
            return Err(RedisUrlError::Fragment);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let hosts = hosts.split(',').map(|host| host_port(host, port)).collect::<Option<Vec<_>>>();
        let hosts = hosts.ok_or(RedisUrlError::Addresses)?;
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        let credentials = Credentials { username: decoded(username)?, password: decoded(password)? };
        Ok(Self { credentials, hosts, path, query })
    }
}

fn host_port(text: &str, default: u16) -> Option<HostPort> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let fits = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
    let port = port.map_or(Ok(default), str::parse).ok().filter(|port| *port != 0)?;
    (fits && (text.starts_with('[') || !host.contains(':'))).then(|| (host.to_owned(), port))
}

/// `None` for an empty part.
fn decoded(part: &str) -> Result<Option<String>, RedisUrlError> {
    let complete = part.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        digits.next().is_some_and(|c| c.is_ascii_hexdigit()) && digits.next().is_some_and(|c| c.is_ascii_hexdigit())
    });
    let text = percent_decode_str(part).decode_utf8().ok().filter(|_| complete).ok_or(RedisUrlError::Encoding)?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

fn sentinels(parts: &Parts<'_>, tls: bool) -> Result<Sentinels, RedisUrlError> {
    let (service, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    let database = if database.is_empty() { Ok(0) } else { database.parse::<u32>() };
    let mut sentinel_credentials = Credentials::default();
    for option in parts.query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "sentinelUsername" | "sentinel_username" => sentinel_credentials.username = decoded(value)?,
            "sentinelPassword" | "sentinel_password" => sentinel_credentials.password = decoded(value)?,
            _ => return Err(RedisUrlError::Option),
        }
    }
    Ok(Sentinels {
        hosts: parts.hosts.clone(),
        service: decoded(service)?.ok_or(RedisUrlError::Service)?,
        database: database.map_err(|_| RedisUrlError::Service)?.into(),
        tls,
        credentials: parts.credentials.clone(),
        sentinel_credentials,
    })
}

fn seeds(parts: Parts<'_>, tls: bool) -> Result<Seeds, RedisUrlError> {
    if !parts.query.is_empty() {
        return Err(RedisUrlError::Option);
    }
    if !parts.path.is_empty() {
        return Err(RedisUrlError::ClusterPath);
    }
    Ok(Seeds { hosts: parts.hosts, tls, credentials: parts.credentials })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(username: Option<&str>, password: Option<&str>) -> Credentials {
        Credentials { username: username.map(str::to_owned), password: password.map(str::to_owned) }
    }

    #[test]
    fn one_server_is_left_to_the_client_library() {
        for url in ["redis://:p@h:1/3?protocol=resp3", "rediss://h"] {
            assert!(RedisUrl::parse(&format!("{url}\n")) == Ok(RedisUrl::Standalone(url.to_owned())));
            assert_eq!(RedisUrl::parse(url).unwrap().has_tls(), url.starts_with("rediss"));
        }
    }

    #[test]
    fn sentinels_and_servers_have_credentials_of_their_own() {
        let url =
            "rediss-sentinel://chat:a%40b@one,two:1,[::1]:2/my%20master/3?sentinelUsername=s&sentinel_password=%3F";
        let expected = Sentinels {
            hosts: vec![("one".into(), 26379), ("two".into(), 1), ("::1".into(), 2)],
            service: "my master".into(),
            database: 3,
            tls: true,
            credentials: credentials(Some("chat"), Some("a@b")),
            sentinel_credentials: credentials(Some("s"), Some("?")),
        };
        assert!(RedisUrl::parse(url) == Ok(RedisUrl::Sentinel(expected)));
    }

    #[test]
    fn a_cluster_is_its_seeds() {
        for scheme in ["redis-cluster", "redis+cluster"] {
            let expected = Seeds {
                hosts: vec![("a.b".into(), 7000), ("c".into(), 6379)],
                tls: false,
                credentials: credentials(None, Some("x")),
            };
            assert!(RedisUrl::parse(&format!("{scheme}://:x@a.b:7000,c")) == Ok(RedisUrl::Cluster(expected)));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", RedisUrlError::Scheme),
            ("localhost:6379", RedisUrlError::Scheme),
            ("http://h", RedisUrlError::Scheme),
            ("redis-://h", RedisUrlError::Scheme),
            ("redis-sentinels://h/m", RedisUrlError::Scheme),
            ("redis-sentinel://h", RedisUrlError::Service),
            ("redis-sentinel://h/", RedisUrlError::Service),
            ("redis-sentinel://h/m/x", RedisUrlError::Service),
            ("redis-sentinel://h/m/1/2", RedisUrlError::Service),
            ("redis-sentinel:///m", RedisUrlError::Addresses),
            ("redis-sentinel://h,/m", RedisUrlError::Addresses),
            ("redis-sentinel://h:0/m", RedisUrlError::Addresses),
            ("redis-sentinel://h:x/m", RedisUrlError::Addresses),
            ("redis-sentinel://::1/m", RedisUrlError::Addresses),
            ("redis-sentinel://:a,b@c/d@h/m", RedisUrlError::Service),
            ("redis-sentinel://:50%@h/m", RedisUrlError::Encoding),
            ("redis-sentinel://:%FF@h/m", RedisUrlError::Encoding),
            ("redis-sentinel://h/m?db=1", RedisUrlError::Option),
            ("redis-sentinel://h/m#insecure", RedisUrlError::Fragment),
            ("redis-cluster://h/1", RedisUrlError::ClusterPath),
            ("redis-cluster://h?x=1", RedisUrlError::Option),
        ];
        for (url, expected) in cases {
            assert_eq!(RedisUrl::parse(url).err(), Some(expected), "{url}");
        }
    }
}
