//! The Kubernetes metrics adapter: what is configured of it, and what the table of settings cannot say about that.

use std::{path::PathBuf, sync::Arc};

use super::{
    ListenAddress, Problem,
    section::{Section, Sections},
    settings::NAMESPACE,
    spelling::closest,
    tree::Place,
    typed::Typed,
    validate::{listen_address, must_be_readable, pattern, policy},
};
use crate::{
    catalogue::{self, CATALOGUE},
    model::{
        lag::Policy,
        offer::{NamedMetric, Namespaces, ObjectRule, Offer, Resource, StreamRule, Target},
        pattern::Pattern,
    },
};

/// The Kubernetes metrics adapter.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// Where to serve, at least one address.
    pub listen: Vec<ListenAddress>,
    /// What to serve with; `None` is a self-signed certificate.
    pub tls: Option<TlsFiles>,
    /// Whom to believe; `None` is whom the cluster's ConfigMap names.
    pub requestheader: Option<RequestHeader>,
    /// How to reach the API server; `None` is the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// What autoscalers may read.
    pub offer: Offer,
}

/// A certificate and its key. Both could be read at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub private_key: PathBuf,
}

/// How the API server's front proxy proves that it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The CA of its certificate, in PEM.
    pub client_ca_file: PathBuf,
    /// Common names that its certificate may have; none is any.
    pub allowed_names: Vec<String>,
}

/// The adapter as configured; `None` where it has no address. The rest is checked all the same.
///
/// `servers` are the names of the servers; `None` where one has no sound name, so that the others do not tell.
pub(super) fn kubernetes(
    sections: &Sections,
    servers: Option<&[Arc<str>]>,
    global: Policy,
    problems: &mut Vec<Problem>,
) -> Option<Kubernetes> {
    const LISTEN: &str = "kubernetes.listen_address";
    let globals = &sections.globals;
    let is_on = match globals.get(LISTEN).map(|checked| &checked.value) {
        Some(Typed::List(items)) => !items.is_empty(),
        _ => false,
    };
    let kubernetes = Kubernetes {
        listen: globals.list(LISTEN, problems, listen_address),
        tls: tls(globals, is_on, problems),
        requestheader: requestheader(globals, is_on, problems),
        kubeconfig: file(globals, "kubernetes.kubeconfig", is_on, problems),
        offer: Offer {
            named: sections
                .of("kubernetes.metrics{}")
                .into_iter()
                .filter_map(|section| named(section, servers, global, problems))
                .collect(),
            objects: sections
                .of("kubernetes.objects[]")
                .into_iter()
                .map(|section| object(section, servers, problems))
                .collect(),
            streams: sections
                .of("kubernetes.streams[]")
                .into_iter()
                .map(|section| stream(section, servers, problems))
                .collect(),
        },
    };
    is_on.then_some(kubernetes)
}

/// A file; without the adapter nobody reads it, and it need not be there.
fn file(globals: &Section, path: &str, is_on: bool, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    let file = globals.text(path).map(PathBuf::from)?;
    if is_on {
        must_be_readable(globals, path, &file, problems);
    }
    Some(file)
}

fn tls(globals: &Section, is_on: bool, problems: &mut Vec<Problem>) -> Option<TlsFiles> {
    const PAIR: [&str; 2] = ["kubernetes.tls_cert_file", "kubernetes.tls_private_key_file"];
    for [one, other] in [PAIR, [PAIR[1], PAIR[0]]] {
        if globals.get(one).is_some() && globals.lacks(other) {
            problems.push(globals.problem(one, format!("needs {other} besides: give both or neither")));
        }
    }
    let [certificate, private_key] = PAIR.map(|path| file(globals, path, is_on, problems));
    Some(TlsFiles { certificate: certificate?, private_key: private_key? })
}

fn requestheader(globals: &Section, is_on: bool, problems: &mut Vec<Problem>) -> Option<RequestHeader> {
    const FILE: &str = "kubernetes.requestheader_client_ca_file";
    const NAMES: &str = "kubernetes.requestheader_allowed_names";
    let allowed_names = globals.list(NAMES, problems, |name| match name {
        "" => Err("a name is empty: leave it out".to_owned()),
        name => Ok(name.to_owned()),
    });
    if globals.lacks(FILE) && !allowed_names.is_empty() {
        problems.push(globals.problem(NAMES, format!("needs {FILE} besides: add that, or leave this out")));
    }
    Some(RequestHeader { client_ca_file: file(globals, FILE, is_on, problems)?, allowed_names })
}

fn named(
    section: &Section,
    servers: Option<&[Arc<str>]>,
    global: Policy,
    problems: &mut Vec<Problem>,
) -> Option<NamedMetric> {
    const GROUP: &str = "kubernetes.metrics{}.group";
    let name = section.name.as_str();
    if name == catalogue::PENDING_OF_POD || CATALOGUE.iter().any(|metric| metric.name == name) {
        problems.push(section.problem_itself(format!("{name} is taken: choose another name")));
    }
    let metric = section.text("kubernetes.metrics{}.metric");
    let metric = metric.as_deref().and_then(catalogue::for_autoscalers);
    if let Some(metric) = metric
        && section.get(GROUP).is_some()
        && !metric.read.labels().contains(&"group")
    {
        problems.push(section.problem(GROUP, format!("{} is not of groups: leave it out", metric.name)));
    }
    let paths = ["kubernetes.metrics{}.redis", "kubernetes.metrics{}.stream", GROUP];
    let target = target(section, paths.map(Some), servers, problems);
    let namespaces = namespaces(section, "kubernetes.metrics{}.namespaces", problems);
    Some(NamedMetric {
        name: name.into(),
        metric: metric?.name.into(),
        target,
        namespaces,
        policy: policy(section, "kubernetes.metrics{}.bounded", "kubernetes.metrics{}.missing_group", global),
    })
}

fn object(section: &Section, servers: Option<&[Arc<str>]>, problems: &mut Vec<Problem>) -> ObjectRule {
    const NAMESPACE: &str = "kubernetes.objects[].namespace";
    let resource = section.text("kubernetes.objects[].resource").unwrap_or_default();
    let namespace = section.text(NAMESPACE);
    if let Some(meant) = Resource::meant_by(&resource) {
        let message = format!("Kubernetes has no resource {resource:?}; did you mean {:?}?", meant.name);
        problems.push(section.problem("kubernetes.objects[].resource", message));
    } else if Resource::named(&resource).is_some_and(|known| known.is_namespaced) && section.lacks(NAMESPACE)
    {
        let message = format!("needs namespace besides: {resource} lie in namespaces");
        problems.push(section.problem("kubernetes.objects[].resource", message));
    }
    if resource == "namespaces" && namespace.is_some() {
        problems.push(section.problem(NAMESPACE, "a namespace lies in none: leave it out"));
    }
    let paths = ["kubernetes.objects[].redis", "kubernetes.objects[].stream", "kubernetes.objects[].group"];
    let target = target(section, paths.map(Some), servers, problems);
    let name = section.text("kubernetes.objects[].name").unwrap_or_default();
    ObjectRule { resource, namespace, name, target }
}

fn stream(section: &Section, servers: Option<&[Arc<str>]>, problems: &mut Vec<Problem>) -> StreamRule {
    let paths = [Some("kubernetes.streams[].redis"), Some("kubernetes.streams[].stream"), None];
    let target = target(section, paths, servers, problems);
    StreamRule { target, namespaces: namespaces(section, "kubernetes.streams[].namespaces", problems) }
}

/// The series that are meant, by the settings for server, stream and group.
fn target(
    section: &Section,
    [redis, stream, group]: [Option<&str>; 3],
    servers: Option<&[Arc<str>]>,
    problems: &mut Vec<Problem>,
) -> Target {
    let mut one = |path: Option<&str>| -> Option<Pattern> {
        let path = path?;
        let read = pattern(&section.text(path)?);
        read.map_err(|message| problems.push(section.problem(path, message))).ok()
    };
    let (stream, group) = (one(stream), one(group));
    let redis = redis.and_then(|path| {
        let name = section.text(path)?;
        if let Some(servers) = servers
            && !servers.iter().any(|server| **server == *name)
        {
            problems.push(section.problem(path, no_such_server(&name, servers)));
        }
        Some(Arc::from(name))
    });
    Target { redis, stream, group }
}

fn no_such_server(name: &str, servers: &[Arc<str>]) -> String {
    let mend = match closest(name, servers.iter().map(|server| &**server)) {
        Some(server) => format!("; did you mean {server:?}?"),
        None => format!(": choose one of {}", servers.join(", ")),
    };
    format!("no server is named {name:?}{mend}")
}

fn namespaces(section: &Section, path: &str, problems: &mut Vec<Problem>) -> Namespaces {
    match section.get(path) {
        Some(checked) if checked.place != Place::Default => {
            Namespaces::Only(section.list(path, problems, namespace))
        }
        _ => Namespaces::All,
    }
}

/// A name or glob; a name that no namespace can have would let nobody in, without a word.
fn namespace(text: &str) -> Result<Pattern, String> {
    let pattern = pattern(text)?;
    match &pattern {
        Pattern::Exact(name) if !NAMESPACE.fits(name.text()) => {
            Err(format!("expected {} or a glob, found {text:?}", NAMESPACE.words))
        }
        _ => Ok(pattern),
    }
}
