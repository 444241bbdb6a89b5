//! A request as the server sees it.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, header};
use serde_json::{Value, json};

use super::store::Key;

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `get`, `list` or `watch`, as in a Role; `read` for discovery.
    pub verb: &'static str,
    /// As it came: nothing in it is decoded.
    pub path: String,
    pub query: String,
    pub accept: String,
    pub user_agent: String,
}

/// The parts of a path to a collection or an object.
pub struct Place<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub namespace: Option<&'a str>,
    pub plural: &'a str,
    /// `None` for a collection.
    pub name: Option<String>,
}

/// What a path leads to.
pub enum Target {
    /// Discovery.
    Document(Value),
    /// All objects with such a key; its name does not count.
    Collection(Key),
    Object(Key),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.path)
    }
}

impl Seen {
    pub fn new(path: &str, query: &str, headers: &HeaderMap) -> Seen {
        let header = |name: HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let mut seen = Seen {
            verb: "read",
            path: path.to_owned(),
            query: query.to_owned(),
            accept: header(header::ACCEPT),
            user_agent: header(header::USER_AGENT),
        };
        let watches = seen.parameter("watch").is_some_and(|value| value == "true");
        seen.verb = match seen.place().map(|place| place.name) {
            Some(None) if watches => "watch",
            Some(None) => "list",
            Some(Some(_)) => "get",
            None => "read",
        };
        seen
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// `None` where the path leads to anything else.
    pub fn place(&self) -> Option<Place<'_>> {
        let segments: Vec<_> = self.path.split('/').skip(1).collect();
        let (group, version, rest) = match &segments[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
            ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(decoded(name))),
            [plural] => (None, *plural, None),
            [plural, name] => (None, *plural, Some(decoded(name))),
            _ => return None,
        };
        Some(Place { group, version, namespace, plural, name })
    }

    /// An object in the form that was asked for.
    pub fn shape(&self, object: Value) -> Value {
        if !self.accept.contains("as=PartialObjectMetadata") {
            return object;
        }
        json!({
            "apiVersion": "meta.k8s.io/v1",
            "kind": "PartialObjectMetadata",
            "metadata": object["metadata"],
        })
    }

    /// What a real API server says of a path to a resource that it does not serve.
    pub fn nothing_there() -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "the server could not find the requested resource", "reason": "NotFound", "details": {},
            "code": 404,
        })
    }

    /// A failure, in the words of a real API server.
    pub fn status(&self, code: u16) -> Value {
        let place = self.place();
        let place = place.as_ref();
        let (plural, group) = place.map_or(("", ""), |place| (place.plural, place.group));
        let resource = place.map(Place::resource).unwrap_or_default();
        let name = place.and_then(|place| place.name.as_deref()).unwrap_or_default();
        let namespace = place.and_then(|place| place.namespace);
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized".to_owned()),
            403 => {
                let within = match namespace {
                    Some(namespace) => format!("in the namespace \"{namespace}\""),
                    None => "at the cluster scope".to_owned(),
                };
                let verb = self.verb;
                let message = format!(
                    "{resource} is forbidden: User \"system:serviceaccount:monitoring:streamgauge\" cannot {verb} \
                     resource \"{plural}\" in API group \"{group}\" {within}"
                );
                ("Forbidden", message)
            }
            404 => ("NotFound", format!("{resource} \"{name}\" not found")),
            410 => ("Expired", "too old resource version: 1 (2)".to_owned()),
            429 => ("TooManyRequests", "too many requests, please try again later".to_owned()),
            _ => ("InternalError", "Internal error occurred: etcdserver: request timed out".to_owned()),
        };
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "details": {"name": name, "kind": plural}, "code": code,
        })
    }
}

impl Place<'_> {
    /// As a metric's URL names it: `deployments.apps`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// A segment of a path without its escapes.
fn decoded(segment: &str) -> String {
    let plain = segment.replace('+', "%2B");
    let pair = format!("x={plain}");
    let value = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
    value.unwrap_or_default()
}
