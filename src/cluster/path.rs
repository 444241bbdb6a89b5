//! Paths of the API server. What a client of ours wrote becomes at most one segment, never another path.

use std::fmt;

/// Longest label of a name, in bytes.
const LONGEST_LABEL: usize = 63;
/// Longest name, in bytes.
const LONGEST_NAME: usize = 253;

/// Whether this can be the name of a namespace: a label as in DNS.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    text.len() <= LONGEST_LABEL
        && !text.is_empty()
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether this can be the name of an object. Most kinds have narrower rules; this one is for all of them.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && ![".", ".."].contains(&text) && !text.contains(['/', '%'])
}

/// One segment of a path: all that is not plain is escaped.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A resource of a group, as a metric's URL names it: `deployments.apps`, `services`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceName {
    /// Its plural name.
    pub plural: String,
    /// Its group; empty for the core group.
    pub group: String,
}

impl ResourceName {
    /// `None` where no resource can be called that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (plural, group) = text.split_once('.').map_or((text, ""), |(plural, group)| (plural, group));
        let names_a_group = text.len() == plural.len() || group.split('.').all(is_label);
        (is_label(plural) && names_a_group && text.len() <= LONGEST_NAME)
            .then(|| ResourceName { plural: plural.to_owned(), group: group.to_owned() })
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_its_place_is_no_name() {
        for text in ["", ".", "..", "../x", "a/b", "%2f", "%2e%2e", "a%2Fb", &"a".repeat(254)] {
            assert!(!is_name(text), "{text}");
        }
        for text in ["web-1", "system:node", "a.b", "ä b?c#d"] {
            assert!(is_name(text), "{text}");
        }
        for text in ["", ".", "..", "a/b", "a%2fb", "A", "-a", "a-", "a.b", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_label(text), "{text}");
        }
        assert!(is_label("kube-system") && is_label("0") && is_label(&"a".repeat(63)));
    }

    #[test]
    fn a_segment_holds_nothing_that_ends_it() {
        assert_eq!(segment("web-1.a_b~c"), "web-1.a_b~c");
        assert_eq!(segment("system:a?b#c&d=e/f ä"), "system%3Aa%3Fb%23c%26d%3De%2Ff%20%C3%A4");
    }

    #[test]
    fn a_resource_is_a_plural_and_a_group() {
        let parsed = |text: &str| ResourceName::parse(text).map(|name| (name.plural, name.group));
        let named = |plural: &str, group: &str| Some((plural.to_owned(), group.to_owned()));
        assert_eq!(parsed("services"), named("services", ""));
        assert_eq!(parsed("deployments.apps"), named("deployments", "apps"));
        assert_eq!(parsed("ingresses.networking.k8s.io"), named("ingresses", "networking.k8s.io"));
        for text in
            ["", ".", ".apps", "deployments.", "a/b.apps", "a.b/c", "a..b", "A.apps", "a.b%2f", "a.b?x"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(ResourceName::parse("deployments.apps").unwrap().to_string(), "deployments.apps");
        assert_eq!(ResourceName::parse("services").unwrap().to_string(), "services");
    }
}
