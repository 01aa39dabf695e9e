//! Bills of materials, after CycloneDX 1.6.

use serde_json::{Value, json};

use super::{crates::Crate, facts::Facts, sums::sha256};

/// What a bill is about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// File name.
    pub(crate) name: &'a str,
    /// `application` for programs, `container` for images.
    pub(crate) kind: &'static str,
    /// Its own version: an image of another engine has that one's.
    pub(crate) version: &'a str,
    /// SHA-256 of the file.
    pub(crate) sha256: &'a str,
}

/// The bill of a program of the package `package`, or of an image with nothing else in it.
pub(crate) fn of_crates(facts: &Facts, subject: &Subject<'_>, package: &str, crates: &[Crate]) -> Value {
    let components: Vec<Value> = crates.iter().map(component).collect();
    let own = crates.iter().find(|own| own.name == package && own.checksum.is_none()).map(Crate::purl);
    let mut dependencies = vec![json!({ "ref": subject.name, "dependsOn": Vec::from_iter(own) })];
    dependencies.extend(crates.iter().map(|own| json!({ "ref": own.purl(), "dependsOn": own.uses })));
    bill(facts, subject, &components, &dependencies)
}

/// The bill of an image out of Debian packages, by their names: the images keep no versions.
pub(crate) fn of_packages(facts: &Facts, subject: &Subject<'_>, suite: &str, packages: &[String]) -> Value {
    let purl = |name: &String| format!("pkg:deb/debian/{}?arch=amd64&distro={suite}", name.replace('+', "%2B"));
    let components: Vec<Value> = packages.iter().map(|name| {
        json!({ "type": "library", "bom-ref": purl(name), "name": name, "purl": purl(name), "scope": "required" })
    }).collect();
    let all: Vec<String> = packages.iter().map(purl).collect();
    bill(facts, subject, &components, &[json!({ "ref": subject.name, "dependsOn": all })])
}

fn component(own: &Crate) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": own.purl(),
        "name": own.name,
        "version": own.version,
        // What ran only while the program was compiled is told, and is not in it.
        "scope": if own.build_only { "excluded" } else { "required" },
        "purl": own.purl(),
    });
    if let Some(licence) = &own.licence {
        component["licenses"] = json!([{ "expression": licence }]);
    }
    if let Some(checksum) = &own.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn bill(facts: &Facts, subject: &Subject<'_>, components: &[Value], dependencies: &[Value]) -> Value {
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&facts.commit, subject),
        "version": 1,
        "metadata": {
            "timestamp": facts.date,
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [{ "type": "application", "name": "cargo xtask release", "version": facts.version }] },
            "component": {
                "type": subject.kind,
                "bom-ref": subject.name,
                "name": subject.name,
                "version": subject.version,
                "hashes": [{ "alg": "SHA-256", "content": subject.sha256 }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// A UUID of version 8 that follows from what the bill is about, so that the same release has the same bills.
fn serial(commit: &str, subject: &Subject<'_>) -> String {
    let mut digits = sha256(format!("{commit} {} {}", subject.name, subject.sha256).as_bytes());
    digits.truncate(32);
    digits.replace_range(12..13, "8");
    digits.replace_range(16..17, "a");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    format!("urn:uuid:{}", parts.join("-"))
}

/// What the specification demands of a bill, and what this repository promises beyond that; the faults in words.
#[cfg(test)]
pub(crate) fn faults(bill: &Value) -> Vec<String> {
    use std::collections::BTreeSet;
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let hex = |value: &str, length: usize| {
        value.len() == length && value.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
    };
    check(bill["bomFormat"] == "CycloneDX" && bill["specVersion"] == "1.6", "bomFormat, specVersion".to_owned());
    let serial = text(&bill["serialNumber"]);
    let groups: Vec<&str> = serial.strip_prefix("urn:uuid:").unwrap_or_default().split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.iter().all(|group| hex(group, group.len()));
    check(lengths == [8, 4, 4, 4, 12] && digits, format!("serialNumber {serial}"));
    check(bill["version"].as_u64().is_some_and(|version| version >= 1), "version".to_owned());
    let date = text(&bill["metadata"]["timestamp"]);
    check(date.len() == 20 && date.ends_with('Z') && &date[10..11] == "T", format!("timestamp {date}"));
    let mut references = BTreeSet::new();
    let components = bill["components"].as_array().cloned().unwrap_or_default();
    check(!components.is_empty(), "components".to_owned());
    for component in components.iter().chain(std::iter::once(&bill["metadata"]["component"])) {
        let name = text(&component["name"]);
        check(!name.is_empty(), "a component without a name".to_owned());
        let kinds = ["application", "library", "container"];
        check(kinds.contains(&text(&component["type"]).as_str()), format!("type of {name}"));
        check(references.insert(text(&component["bom-ref"])), format!("bom-ref of {name} is not unique"));
        for hash in component["hashes"].as_array().into_iter().flatten() {
            check(hash["alg"] == "SHA-256" && hex(&text(&hash["content"]), 64), format!("hash of {name}: {hash}"));
        }
        if component["type"] == "library" {
            check(text(&component["purl"]).starts_with("pkg:"), format!("purl of {name}"));
        }
    }
    for edge in bill["dependencies"].as_array().into_iter().flatten() {
        let ends = edge["dependsOn"].as_array().cloned().unwrap_or_default();
        for end in ends.iter().chain(std::iter::once(&edge["ref"])) {
            check(references.contains(&text(end)), format!("a dependency on {end}, which is no component"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str) -> Subject<'_> {
        const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        Subject { name, kind: "application", version: "0.1.0", sha256: DIGEST }
    }

    fn crates() -> Vec<Crate> {
        let own = |name: &str, uses: &[&str]| Crate {
            name: name.to_owned(),
            version: "1.0.0+a".to_owned(),
            licence: Some("MIT OR Apache-2.0".to_owned()),
            checksum: None,
            build_only: false,
            uses: uses.iter().map(|name| super::super::crates::purl(name, "1.0.0+a")).collect(),
        };
        let checksum = Some(sha256(b"the archive"));
        vec![
            own("program", &["used", "derive"]),
            Crate { checksum, ..own("used", &[]) },
            Crate { build_only: true, licence: None, ..own("derive", &[]) },
        ]
    }

    #[test]
    fn bills_have_what_cyclonedx_demands() {
        let facts = Facts::example();
        let bill = of_crates(&facts, &subject("program-linux-amd64"), "program", &crates());
        assert_eq!(faults(&bill), Vec::<String>::new());
        assert_eq!(bill["components"][1]["purl"], "pkg:cargo/used@1.0.0%2Ba");
        assert_eq!(bill["components"][1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bill["components"][2]["scope"], "excluded");
        assert_eq!(bill["components"][2]["licenses"], Value::Null, "no licence is made up");
        assert_eq!(bill["dependencies"][0]["dependsOn"][0], "pkg:cargo/program@1.0.0%2Ba");

        let names = ["libstdc++6".to_owned(), "redis-server".to_owned()];
        let bill = of_packages(&facts, &subject("redis.tar"), "trixie", &names);
        assert_eq!(faults(&bill), Vec::<String>::new());
        assert_eq!(bill["components"][0]["purl"], "pkg:deb/debian/libstdc%2B%2B6?arch=amd64&distro=trixie");
        assert_eq!(bill["components"][0]["version"], Value::Null, "no version is made up");
    }

    #[test]
    fn the_check_sees_what_is_wrong() {
        let mut bill = of_crates(&Facts::example(), &subject("program"), "program", &crates());
        bill["serialNumber"] = json!("1");
        bill["components"][1]["bom-ref"] = json!("elsewhere");
        bill["components"][1]["hashes"][0]["content"] = json!("XYZ");
        assert_eq!(faults(&bill).len(), 4, "serial, hash, and two edges that lead nowhere: {:?}", faults(&bill));
    }
}
