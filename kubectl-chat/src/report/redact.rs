//! Takes what is secret out of objects before somebody else reads them. Rather too much than too little.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value, json};

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "(redacted)";

/// Values shorter than this are words that stand in other places, too.
const SHORTEST: usize = 6;
/// What is shorter in base64 hides nothing that would be looked for.
const SHORTEST_ENCODED: usize = 8;
/// Lines of a key in PEM are longer than this.
const LINE: usize = 16;
/// Keys of Secrets whose values are for everybody.
const PUBLIC_KEYS: [&str; 3] = ["username", "ca.crt", "tls.crt"];
/// A field whose name has one of these has a secret, unless it only says where one is.
const SECRET_WORDS: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "requirepass",
];
/// Words of redis.conf that have a secret behind them, after a space.
const DIRECTIVES: [&str; 2] = ["requirepass", "masterauth"];
/// Names that have such a word and only say where a secret is, or how many.
const PLACES: [&str; 4] = ["ref", "name", "file", "path"];
/// Annotations whose values are the operator's, Kubernetes' or Helm's, and no copy of something else.
const OPEN_ANNOTATIONS: [&str; 4] =
    ["chatcluster.dev/", "deployment.kubernetes.io/", "meta.helm.sh/", "controller.kubernetes.io/"];

/// Knows the values of Secrets, and how secrets look.
pub(crate) struct Redactor {
    /// The longest first, since one may contain another.
    known: Vec<String>,
}

impl Redactor {
    /// One that knows the values of these.
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        let mut known = Vec::new();
        for (key, bytes) in secrets.iter().flat_map(|secret| secret.data.iter().flatten()) {
            if PUBLIC_KEYS.contains(&key.as_str()) {
                continue;
            }
            known.push(STANDARD.encode(&bytes.0));
            known.push(STANDARD_NO_PAD.encode(&bytes.0));
            let Ok(text) = std::str::from_utf8(&bytes.0) else { continue };
            known.push(text.trim().to_owned());
            // As it stands in JSON that is cut off, and so is no JSON.
            known.push(json!(text.trim()).to_string().trim_matches('"').to_owned());
            known.extend(text.lines().map(str::trim).filter(|line| line.len() > LINE).map(str::to_owned));
            known.extend(password_of(text).map(str::to_owned));
        }
        known.retain(|value| value.len() >= SHORTEST);
        known.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        known.dedup();
        Self { known }
    }

    /// The same without what is secret.
    pub(crate) fn clean(&self, mut value: Value) -> Value {
        if value["kind"] == "Secret" {
            keep_keys(&mut value);
        }
        self.walk(&mut value);
        value
    }

    fn walk(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.object(map),
            Value::Array(items) => {
                let mut follows = false;
                for item in items {
                    // An argument after the one that says what it is.
                    let is_secret = follows && item.is_string();
                    follows = item.as_str().is_some_and(|text| text.starts_with('-') && names_a_secret(text));
                    if is_secret {
                        *item = json!(REDACTED);
                    }
                    self.walk(item);
                }
            }
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    fn object(&self, map: &mut Map<String, Value>) {
        map.remove("managedFields");
        // A literal in the environment of a container is nobody's business: it is looked up where it comes from.
        if map.contains_key("name") && map.len() == 2 && map.get("value").is_some_and(Value::is_string) {
            map.insert("value".to_owned(), json!(REDACTED));
        }
        if let Some(Value::Object(annotations)) = map.get_mut("annotations") {
            annotations.retain(|key, _| key != "kubectl.kubernetes.io/last-applied-configuration");
            for (_, text) in
                annotations.iter_mut().filter(|(key, _)| !OPEN_ANNOTATIONS.iter().any(|open| key.starts_with(open)))
            {
                *text = json!(REDACTED);
            }
        }
        let mut cleaned = Map::new();
        for (key, mut inner) in std::mem::take(map) {
            if (inner.is_string() || inner.is_number()) && names_a_secret(&key) {
                inner = json!(REDACTED);
            }
            self.walk(&mut inner);
            cleaned.insert(self.text(&key), inner);
        }
        *map = cleaned;
    }

    /// A text, which may be JSON of its own.
    fn text(&self, text: &str) -> String {
        if text.starts_with(['{', '['])
            && let Ok(mut inner) = serde_json::from_str::<Value>(text)
        {
            self.walk(&mut inner);
            return inner.to_string();
        }
        let plain = self.plain(text);
        hidden_in_base64(&plain, |decoded| self.plain(decoded) != decoded)
    }

    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in self.known.iter().filter(|value| value.len() <= text.len()).collect::<Vec<_>>() {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), REDACTED);
            }
        }
        assignments(&bearers(&users(&pem(&text))))
    }
}

/// Of a Secret, only what its keys are called.
fn keep_keys(secret: &mut Value) {
    for field in ["data", "stringData"] {
        for (_, value) in secret[field].as_object_mut().into_iter().flatten() {
            *value = json!(REDACTED);
        }
        if secret[field].is_null()
            && let Some(map) = secret.as_object_mut()
        {
            map.remove(field);
        }
    }
}

fn names_a_secret(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| field.contains(word)) && !PLACES.iter().any(|place| field.ends_with(place))
}

/// The password of a URL.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

fn ends_a_word(letter: char) -> bool {
    letter.is_whitespace() || ['"', '\'', '`', '<', '>'].contains(&letter)
}

/// User and password of every URL. A password may have a slash that nobody has escaped, so that the last @ of the word counts.
fn users(text: &str) -> String {
    let mut cleaned = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        cleaned += before;
        let word = &after[..after.find(ends_a_word).unwrap_or(after.len())];
        rest = after;
        if let Some(end) = word.rfind('@') {
            cleaned += REDACTED;
            rest = &after[end..];
        }
    }
    cleaned + rest
}

/// Keys in PEM.
fn pem(text: &str) -> String {
    let mut cleaned = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("-----BEGIN ") {
        cleaned += before;
        cleaned += REDACTED;
        // One that is cut off goes to the end of the text.
        let end = after.split_once("-----END ").map_or("", |(_, end)| end);
        rest = end.split_once("-----").map_or("", |(_, rest)| rest);
    }
    cleaned + rest
}

/// What follows Bearer or Basic, and JSON Web Tokens wherever they stand.
fn bearers(text: &str) -> String {
    let mut cleaned = String::new();
    let mut follows = false;
    for word in text.split_inclusive(ends_a_word) {
        let bare = word.trim_end_matches(ends_a_word);
        let is_token = bare.find("eyJ").filter(|at| bare[*at..].matches('.').count() >= 2);
        match (follows && !bare.is_empty(), is_token) {
            (true, _) => cleaned += REDACTED,
            (false, Some(at)) => cleaned = cleaned + &bare[..at] + REDACTED,
            (false, None) => cleaned += bare,
        }
        cleaned += &word[bare.len()..];
        if !bare.is_empty() {
            follows = ["bearer", "basic"].iter().any(|scheme| bare.to_ascii_lowercase().ends_with(scheme));
        }
    }
    cleaned
}

/// `password=…`, `token: …` and the like, with or without quotes.
fn assignments(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut cleaned = String::new();
    let mut from = 0;
    while let Some((start, end)) = assigned(&lower, from) {
        cleaned += &text[from..start];
        cleaned += REDACTED;
        from = end;
    }
    cleaned + &text[from..]
}

/// Where the next value begins and ends that is assigned to something with a secret's name.
fn assigned(lower: &str, mut from: usize) -> Option<(usize, usize)> {
    loop {
        let words = SECRET_WORDS.iter().chain(&DIRECTIVES);
        let found = words.filter_map(|word| Some((lower[from..].find(word)?, word.len()))).min()?;
        let word = from + found.0;
        let after_word = word + found.1;
        from = after_word;
        let rest = &lower[after_word..];
        let sign = rest.trim_start_matches(['"', '\'', ' ']);
        let is_option = lower[..word].rsplit(ends_a_word).next().is_some_and(|start| start.starts_with('-'));
        let takes_next = is_option || DIRECTIVES.iter().any(|directive| lower[word..].starts_with(directive));
        let next = rest.strip_prefix(' ').filter(|_| takes_next);
        let Some(value) = sign.strip_prefix(['=', ':']).or(next) else { continue };
        let value = value.trim_start_matches(['"', '\'', ' ']);
        let start = lower.len() - value.len();
        let ends = |letter: char| ends_a_word(letter) || ['&', ',', ';', '}'].contains(&letter);
        let end = start + value.find(ends).unwrap_or(value.len());
        if end > start && !value.starts_with(REDACTED) {
            return Some((start, end));
        }
    }
}

/// Words in base64 that decode to something secret.
fn hidden_in_base64(text: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ['+', '/', '-', '_'].contains(&letter);
    let hides = |word: &str| {
        // Both alphabets, as one.
        let word = word.replace('-', "+").replace('_', "/");
        let decoded = (word.len() >= SHORTEST_ENCODED).then(|| STANDARD_NO_PAD.decode(word).ok()).flatten();
        decoded.and_then(|bytes| String::from_utf8(bytes).ok()).is_some_and(|decoded| is_secret(&decoded))
    };
    let mut cleaned = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_letter) {
        cleaned += &rest[..at];
        let word = &rest[at..];
        let word = &word[..word.find(|letter| !is_letter(letter)).unwrap_or(word.len())];
        // It may stand behind something: a path, or a name with a hyphen.
        let mut starts = std::iter::once(0).chain(word.match_indices(['/', '-', '_']).map(|(at, _)| at + 1));
        match starts.find(|start| hides(&word[*start..])) {
            Some(start) => cleaned = cleaned + &word[..start] + REDACTED,
            None => cleaned += word,
        }
        rest = &rest[at + word.len()..];
    }
    cleaned + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "s3cr3t-Pa55/word";
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

    fn secret() -> Secret {
        serde_json::from_value(json!({
            "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "demo-shard-a" },
            "data": { "password": STANDARD.encode(PASSWORD), "username": STANDARD.encode("owner"),
                "uri": STANDARD.encode(format!("postgres://owner:{PASSWORD}@db/chat")) },
        }))
        .unwrap()
    }

    /// Everywhere a secret can be put.
    fn seeded() -> Value {
        let url = format!("amqps://chat:{PASSWORD}@rabbit:5671/vhost");
        let encoded = STANDARD.encode(PASSWORD);
        json!([
            { "kind": "Secret", "metadata": { "name": "s", "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": format!("{{\"stringData\":{{\"password\":\"{PASSWORD}\"}}}}"),
                "example.org/note": PASSWORD } },
              "data": { "password": encoded, "other": STANDARD.encode("another one") }, "stringData": { "x": PASSWORD } },
            { "kind": "ConfigMap", "data": {
                "config.json": json!({ "uri": url, "nested": { "adminToken": TOKEN }, "signingKeyFile": "/etc/keys/key.pem" }).to_string(),
                "url": url, "encoded": format!("x={encoded};"), "query": format!("https://db/x?sslmode=require&password={PASSWORD}&a=b"),
                "pem": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50\n-----END PRIVATE KEY-----\n",
                "yaml": format!("user: a\npassword: {PASSWORD}\n"), "encodedUrl": STANDARD.encode(&url) } },
            { "kind": "Pod", "spec": { "containers": [{ "name": "c",
                "env": [{ "name": "HARMLESS", "value": "plain-env-value" },
                        { "name": "FROM", "valueFrom": { "secretKeyRef": { "name": "demo-shard-a", "key": "password" } } }],
                "args": [format!("--token={TOKEN}"), format!("--url={url}"), "--password", PASSWORD] }] } },
            { "kind": "Event", "note": format!("cannot connect to {url}: wrong password '{PASSWORD}', header Authorization: Bearer abc.def {TOKEN}"),
              "message": format!("Basic {encoded}") },
            { "kind": "ChatCluster", "metadata": { "managedFields": [{ "manager": PASSWORD }], "labels": { PASSWORD: "x" } },
              "spec": { "database": { "shards": [{ "name": "a", "urlSecretRef": { "name": "shard-a", "key": "uri" } }] } } },
        ])
    }

    fn assert_clean(text: &str) {
        let encoded = STANDARD.encode(PASSWORD);
        let url = STANDARD.encode(format!("amqps://chat:{PASSWORD}@rabbit:5671/vhost"));
        let all = [PASSWORD, TOKEN, &encoded, &url, "plain-env-value", "MC4CAQAwBQYDK2Vw", "abc.def", "another one"];
        for secret in all {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }

    #[test]
    fn no_seeded_secret_is_left() {
        let redactor = Redactor::new(&[secret()]);
        let each: Vec<Value> = seeded().as_array().unwrap().iter().map(|one| redactor.clean(one.clone())).collect();
        assert_clean(&json!(each).to_string());
        assert_eq!(each[0]["data"]["password"], REDACTED);
        assert!(each[0]["metadata"]["annotations"].get("kubectl.kubernetes.io/last-applied-configuration").is_none());
    }

    #[test]
    fn what_looks_secret_goes_although_no_secret_could_be_read() {
        let blind = Redactor::new(&[]);
        let object = json!({ "args": ["--password", PASSWORD], "apiKey": TOKEN, "pinToken": 12_345_678 });
        let text = blind.clean(object).to_string();
        assert_clean(&text);
        assert!(!text.contains("12345678"), "{text}");
        for text in [
            format!("amqp://chat:{PASSWORD}@rabbit"),
            format!("password={PASSWORD}"),
            format!("{{\"password\":\"{PASSWORD}\"}}"),
            format!("see https://x?token={TOKEN} and Bearer {TOKEN}"),
            STANDARD.encode(format!("redis://:{PASSWORD}@redis")),
            format!("a/b=path/{}", STANDARD.encode(format!("redis://:{PASSWORD}@redis"))),
            format!("redis-server --requirepass {PASSWORD} --port 1"),
            format!("port 1\nmasterauth {PASSWORD}\n"),
            format!("PGPASSWORD={PASSWORD} psql"),
        ] {
            assert_clean(blind.clean(json!(text)).as_str().unwrap());
        }
    }

    #[test]
    fn a_known_value_goes_in_whatever_way_it_is_written() {
        let value = "quote\"and\\slash";
        let secret = json!({ "data": { "x": STANDARD.encode(value) } });
        let redactor = Redactor::new(&[serde_json::from_value(secret).unwrap()]);
        for text in [
            format!("it is {value}."),
            format!("{{\"cut\": {}", json!(value)),
            format!("x-{}", STANDARD.encode(format!("it is {value}"))),
            STANDARD.encode(format!("{value}>>>???")).replace('+', "-").replace('/', "_"),
        ] {
            let cleaned = redactor.clean(json!(text));
            assert!(cleaned.as_str().unwrap().contains(REDACTED), "{cleaned} of {text}");
            assert!(!cleaned.to_string().contains("slash"), "{cleaned}");
        }
    }

    #[test]
    fn what_helps_stays() {
        let redactor = Redactor::new(&[secret()]);
        let object = json!({
            "kind": "Deployment",
            "metadata": { "name": "demo-gateway-1", "annotations": { "chatcluster.dev/rollout-wave": "1" } },
            "spec": { "urlSecretRef": { "name": "shard-a", "key": "uri" }, "adminTokenFile": "/etc/token", "image": "a/b:1" },
            "status": { "message": "shard a is not available: connection refused (owner at db:5432)" },
        });
        assert_eq!(redactor.clean(object.clone()), object);
        for text in [
            "https://issuer.example/realms/a",
            "Secret shard-a has no key uri; spec.redis.urlSecretRef names it",
            "pod demo-gateway-5b8f96bcf-c6x: container gateway ends with code 1; see `kubectl logs`",
            "sha256:5b8f96bcf0a1b2c3d4e5f60718293a4b5c6d7e8f5b8f96bcf0a1b2c3d4e5f607",
        ] {
            assert_eq!(redactor.clean(json!(text)), text);
        }
    }
}
