//! What service accounts asked the API server for, out of its audit log.

use std::collections::BTreeSet;

use serde_json::Value;

/// The API server's verdict on the asker's rights, which is not that of admission: a request may be allowed and answered with 403 all the same.
const DECISION: &str = "/annotations/authorization.k8s.io~1decision";

/// One thing that was asked for, however often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub(crate) user: String,
    /// As in a rule: `get`, `list`, `watch`, `create` and so on.
    pub(crate) verb: String,
    /// Empty for the core group.
    pub(crate) group: String,
    /// `RESOURCE`, or `RESOURCE/SUBRESOURCE`.
    pub(crate) resource: String,
    /// None for what belongs to the whole cluster, and for requests over all namespaces.
    pub(crate) namespace: Option<String>,
    /// None for a new object and for collections.
    pub(crate) name: Option<String>,
    /// Whether the asker had the right.
    pub(crate) allowed: bool,
}

/// All that the log told.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// What was asked for.
    pub(crate) requests: BTreeSet<Request>,
    /// Lines that were events.
    pub(crate) events: u64,
    /// Lines that were none: the last one is when the API server was killed while it wrote.
    pub(crate) broken: u64,
}

impl Log {
    /// Takes one line in. Requests for no resource, such as that for the version, are left out unless they were refused: everybody may make them.
    pub(crate) fn line(&mut self, line: &str) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            self.broken += 1;
            return;
        };
        self.events += 1;
        let request = request(&event);
        self.requests.extend(request.clone().and_then(|request| made(&event, request)));
        self.requests.extend(request);
    }
}

/// The right to make an object, which whoever patches one needs, too, when it is not there: server-side apply. It is asked about inside of the request.
fn made(event: &Value, request: Request) -> Option<Request> {
    let patched = ["patch", "update"].contains(&request.verb.as_str()) && event["responseStatus"]["code"] == 201;
    patched.then(|| Request { verb: "create".to_owned(), name: None, ..request })
}

fn request(event: &Value) -> Option<Request> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    // Without a verdict the request never came as far, or was one of the API server to itself.
    let allowed = text(DECISION)? == "allow";
    let verb = text("/verb")?.to_owned();
    let user = text("/user/username")?.to_owned();
    let Some(resource) = text("/objectRef/resource") else {
        let path = text("/requestURI")?.split('?').next().unwrap_or_default().to_owned();
        let refused =
            Request { user, verb, group: String::new(), resource: path, namespace: None, name: None, allowed };
        return (!allowed).then_some(refused);
    };
    let subresource = text("/objectRef/subresource");
    // The name of a new object is in its body, which nobody looks into when rights are asked for.
    let named = verb != "create" || subresource.is_some();
    Some(Request {
        user,
        verb,
        group: text("/objectRef/apiGroup").unwrap_or_default().to_owned(),
        resource: subresource.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}")),
        namespace: text("/objectRef/namespace").map(str::to_owned),
        name: text("/objectRef/name").filter(|_| named).map(str::to_owned),
        allowed,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(verb: &str, object: &Value, decision: &str) -> String {
        let annotations = json!({ "authorization.k8s.io/decision": decision });
        let user = json!({ "username": "system:serviceaccount:chat-system:chat-operator" });
        json!({ "verb": verb, "user": user, "objectRef": object, "requestURI": "/x?limit=1", "annotations": annotations })
            .to_string()
    }

    #[test]
    fn events_become_requests_once_each() {
        let mut log = Log::default();
        let scale = json!({ "resource": "deployments", "subresource": "scale", "apiGroup": "apps", "namespace": "a", "name": "g" });
        log.line(&event("patch", &scale, "allow"));
        log.line(&event("patch", &scale, "allow"));
        assert_eq!((log.events, log.requests.len()), (2, 1));
        let request = log.requests.first().unwrap();
        assert_eq!((request.group.as_str(), request.resource.as_str()), ("apps", "deployments/scale"));
        assert_eq!((request.namespace.as_deref(), request.name.as_deref()), (Some("a"), Some("g")));
        assert!(request.allowed);
    }

    #[test]
    fn a_new_object_has_no_name_as_far_as_rights_go() {
        let mut log = Log::default();
        log.line(&event("create", &json!({ "resource": "secrets", "namespace": "a", "name": "made" }), "allow"));
        assert_eq!(log.requests.first().unwrap().name, None);
    }

    #[test]
    fn a_patch_that_makes_an_object_uses_the_right_to_make_one() {
        let object = json!({ "resource": "secrets", "namespace": "a", "name": "made" });
        let mut answered: Value = serde_json::from_str(&event("patch", &object, "allow")).unwrap();
        for (code, verbs) in [(200, vec!["patch"]), (201, vec!["create", "patch"])] {
            let mut log = Log::default();
            answered["responseStatus"] = json!({ "code": code });
            log.line(&answered.to_string());
            assert_eq!(log.requests.iter().map(|request| request.verb.as_str()).collect::<Vec<_>>(), verbs);
        }
    }

    #[test]
    fn what_is_no_resource_counts_only_when_it_was_refused() {
        let mut log = Log::default();
        log.line(&event("get", &Value::Null, "allow"));
        assert!(log.requests.is_empty());
        log.line(&event("get", &Value::Null, "forbid"));
        let request = log.requests.first().unwrap();
        assert_eq!((request.resource.as_str(), request.allowed), ("/x", false));
    }

    #[test]
    fn cut_lines_are_counted() {
        let mut log = Log::default();
        log.line("{\"verb\": \"ge");
        assert_eq!((log.events, log.broken), (0, 1));
    }
}
