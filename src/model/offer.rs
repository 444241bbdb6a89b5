//! What autoscalers are offered besides the catalogue's own names, and who may read what: as configured.

use std::{fmt, sync::Arc};

use super::{lag::Policy, name::Name, pattern::Pattern};

/// Everything that the configuration says about what autoscalers may read.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Metrics with names of the user's own.
    pub named: Vec<NamedMetric>,
    /// Kubernetes objects that stand for groups.
    pub objects: Vec<ObjectRule>,
    /// Streams that only some namespaces may read.
    pub streams: Vec<StreamRule>,
}

/// A metric with a name of the user's own: one of the catalogue, over fixed series.
#[derive(Clone, Debug)]
pub struct NamedMetric {
    /// Its name; unique, and none of the catalogue's.
    pub name: Arc<str>,
    /// Name of the metric in the catalogue; one that autoscalers may read.
    pub metric: Arc<str>,
    /// The series.
    pub target: Target,
    /// Who may read it.
    pub namespaces: Namespaces,
    /// What is answered where a lag is not one proved number.
    pub policy: Policy,
}

/// A resource of Kubernetes itself whose objects often stand for workers.
#[derive(Debug)]
pub struct Resource {
    /// Plural name and API group.
    pub name: &'static str,
    /// Kind of one object.
    pub kind: &'static str,
    /// Its API version.
    pub api_version: &'static str,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
}

/// The resources that are known by heart; others are looked up.
#[rustfmt::skip]
pub const RESOURCES: &[Resource] = &[
    Resource { name: "cronjobs.batch", kind: "CronJob", api_version: "batch/v1", is_namespaced: true },
    Resource { name: "daemonsets.apps", kind: "DaemonSet", api_version: "apps/v1", is_namespaced: true },
    Resource { name: "deployments.apps", kind: "Deployment", api_version: "apps/v1", is_namespaced: true },
    Resource { name: "jobs.batch", kind: "Job", api_version: "batch/v1", is_namespaced: true },
    Resource { name: "namespaces", kind: "Namespace", api_version: "v1", is_namespaced: false },
    Resource { name: "replicasets.apps", kind: "ReplicaSet", api_version: "apps/v1", is_namespaced: true },
    Resource { name: "services", kind: "Service", api_version: "v1", is_namespaced: true },
    Resource { name: "statefulsets.apps", kind: "StatefulSet", api_version: "apps/v1", is_namespaced: true },
];

impl Resource {
    /// The resource of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Resource> {
        RESOURCES.iter().find(|resource| resource.name == name)
    }

    /// The resource that was meant by a name in the singular, or without its group.
    #[must_use]
    pub fn meant_by(name: &str) -> Option<&'static Resource> {
        let is_meant = |resource: &&Resource| {
            let (plural, group) = resource.name.split_once('.').unwrap_or((resource.name, ""));
            let (first, rest) = name.split_once('.').unwrap_or((name, group));
            resource.name != name && rest == group && [plural, &resource.kind.to_lowercase()].contains(&first)
        };
        RESOURCES.iter().find(is_meant)
    }
}

/// A Kubernetes object whose metrics are those of the target.
#[derive(Clone, Debug)]
pub struct ObjectRule {
    /// Plural name and API group, as `kubectl` writes them: `deployments.apps`, `services`.
    pub resource: String,
    /// Its namespace; `None` for an object of no namespace, and for namespaces themselves.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The series.
    pub target: Target,
}

/// A restriction: these streams may be read from these namespaces, and by other rules that fit them, only.
#[derive(Clone, Debug)]
pub struct StreamRule {
    /// The streams.
    pub target: Target,
    /// Who may read them.
    pub namespaces: Namespaces,
}

/// Which streams of a server a namespace may read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// Those that are for others only, where nothing else is said of them.
    barred: Vec<Target>,
    /// Those that are for this one too.
    open: Vec<Target>,
}

impl Access {
    /// Whether a stream is among them.
    #[must_use]
    pub fn includes(&self, redis: &str, stream: &Name) -> bool {
        let any = |targets: &[Target]| targets.iter().any(|target| target.has_stream(redis, stream));
        !any(&self.barred) || any(&self.open)
    }
}

/// Which series are meant; `None` is any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Name of the configured server.
    pub redis: Option<Arc<str>>,
    /// Streams.
    pub stream: Option<Pattern>,
    /// Groups.
    pub group: Option<Pattern>,
}

/// Kubernetes namespaces.
#[derive(Clone, Debug, Default)]
pub enum Namespaces {
    /// Every one.
    #[default]
    All,
    /// Those that fit one of these.
    Only(Vec<Pattern>),
}

impl Namespaces {
    /// Whether a namespace is among them.
    #[must_use]
    pub fn contain(&self, namespace: &str) -> bool {
        match self {
            Namespaces::All => true,
            Namespaces::Only(patterns) => {
                let name = Name::from(namespace);
                patterns.iter().any(|pattern| pattern.matches(&name))
            }
        }
    }
}

impl Target {
    /// Whether a server is meant.
    #[must_use]
    pub fn has_server(&self, redis: &str) -> bool {
        self.redis.as_deref().is_none_or(|name| name == redis)
    }

    /// Whether a stream of a server is meant.
    #[must_use]
    pub fn has_stream(&self, redis: &str, stream: &Name) -> bool {
        self.has_server(redis) && self.stream.as_ref().is_none_or(|pattern| pattern.matches(stream))
    }

    /// Whether all streams of the servers that are meant are.
    fn has_every_stream(&self) -> bool {
        match &self.stream {
            None => true,
            Some(Pattern::Glob(glob)) => glob.text() == "*",
            Some(Pattern::Exact(_)) => false,
        }
    }

    /// Whether a group is meant, of a stream that is.
    #[must_use]
    pub fn has_group(&self, group: &Name) -> bool {
        self.group.as_ref().is_none_or(|pattern| pattern.matches(group))
    }
}

/// As a selector would say it; empty for any.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |pattern: &Pattern| match pattern {
            Pattern::Exact(name) => name.to_string(),
            Pattern::Glob(glob) => glob.text().to_owned(),
        };
        let parts = [
            ("redis", self.redis.as_ref().map(ToString::to_string)),
            ("stream", self.stream.as_ref().map(text)),
            ("group", self.group.as_ref().map(text)),
        ];
        let parts = parts.into_iter().filter_map(|(label, value)| Some(format!("{label}={}", value?)));
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

impl Offer {
    /// Whether a namespace may read a stream: where rules fit the stream, one of them must name the namespace.
    #[must_use]
    pub fn lets_read(&self, namespace: &str, redis: &str, stream: &Name) -> bool {
        let mut rules = self.streams.iter().filter(|rule| rule.target.has_stream(redis, stream)).peekable();
        rules.peek().is_none() || rules.any(|rule| rule.namespaces.contain(namespace))
    }

    /// What a namespace may read of a server; the same for all namespaces that no rule concerns.
    #[must_use]
    pub fn access(&self, namespace: &str, redis: &str) -> Access {
        let of_server = self.streams.iter().filter(|rule| rule.target.has_server(redis));
        let (open, barred): (Vec<_>, Vec<_>) = of_server.partition(|rule| rule.namespaces.contain(namespace));
        if barred.is_empty() {
            return Access::default();
        }
        let targets = |rules: Vec<&StreamRule>| rules.into_iter().map(|rule| rule.target.clone()).collect();
        Access { barred: targets(barred), open: targets(open) }
    }

    /// Whether a namespace may read any stream of a server: not where one rule is for all of them, and no rule that is for
    /// some of them names the namespace.
    #[must_use]
    pub fn lets_read_some(&self, namespace: &str, redis: &str) -> bool {
        let rules = || self.streams.iter().filter(|rule| rule.target.has_server(redis));
        !rules().any(|rule| rule.target.has_every_stream())
            || rules().any(|rule| rule.namespaces.contain(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(patterns: &[&str]) -> Namespaces {
        Namespaces::Only(patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect())
    }

    fn rule(redis: Option<&str>, stream: &str, namespaces: &[&str]) -> StreamRule {
        let target = Target {
            redis: redis.map(Arc::from),
            stream: Some(Pattern::parse(stream).unwrap()),
            group: None,
        };
        StreamRule { target, namespaces: only(namespaces) }
    }

    #[test]
    fn a_stream_without_a_rule_is_for_all() {
        let offer = Offer { streams: vec![rule(None, "pay*", &["pay"])], ..Offer::default() };
        assert!(offer.lets_read("shop", "main", &"orders".into()));
        assert!(!offer.lets_read("shop", "main", &"payments".into()));
        assert!(offer.lets_read("pay", "main", &"payments".into()));
    }

    #[test]
    fn rules_add_up() {
        let streams =
            vec![rule(None, "pay*", &["pay", "audit-*"]), rule(Some("main"), "payments", &["shop"])];
        let offer = Offer { streams, ..Offer::default() };
        for (namespace, redis, expected) in [
            ("shop", "main", true),
            ("audit-eu", "main", true),
            ("other", "main", false),
            // The second rule is of another server.
            ("shop", "spare", false),
            ("pay", "spare", true),
        ] {
            assert_eq!(
                offer.lets_read(namespace, redis, &"payments".into()),
                expected,
                "{namespace} {redis}"
            );
            let access = offer.access(namespace, redis);
            assert_eq!(access.includes(redis, &"payments".into()), expected, "{namespace} {redis}");
            assert!(access.includes(redis, &"orders".into()), "{namespace} {redis}");
        }
        assert_eq!(offer.access("pay", "spare"), Access::default(), "one that no rule keeps out");
    }

    #[test]
    fn a_server_may_be_for_some_only() {
        let streams = vec![rule(Some("secret"), "*", &["pay"]), rule(Some("secret"), "a*", &["audit"])];
        let offer = Offer { streams, ..Offer::default() };
        for (namespace, redis, expected) in [
            ("pay", "secret", true),
            ("audit", "secret", true),
            ("shop", "secret", false),
            ("shop", "main", true),
        ] {
            assert_eq!(offer.lets_read_some(namespace, redis), expected, "{namespace} {redis}");
        }
    }
}
