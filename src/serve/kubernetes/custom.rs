//! `custom.metrics.k8s.io`: metrics of pods, which are consumers of the same name, and of objects that stand for groups.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::{
    Adapter, Shared,
    answers::{self, Described},
    aside, bad_path, discovery, selector,
    status::Status,
};
use crate::{
    catalogue::{self, Metric},
    cluster::{Cluster, Object, Unavailable},
    model::{
        offer::{Resource, Target},
        pattern::Pattern,
        selector::Selector,
        snapshot::Snapshot,
    },
    serve::scaling::{self, Question},
};

/// Its `api` label.
pub const API: &str = "custom";

/// Annotations with which an object says what it stands for: streams and groups by name or glob, the server by name.
pub const ANNOTATIONS: [&str; 3] = ["streamgauge.io/redis", "streamgauge.io/stream", "streamgauge.io/group"];

/// Longest annotation that is read, in bytes: each request compiles it.
const LONGEST_ANNOTATION: usize = 1024;

/// The routes of both versions. Namespaces are asked for in a form of their own; other objects by resource and name.
pub(super) fn router() -> Router<Shared> {
    let mut router = Router::new();
    for version in ["v1beta1", "v1beta2"] {
        let base = format!("/apis/custom.metrics.k8s.io/{version}");
        let namespaced = move |adapter: State<Adapter>,
                               path: Result<Path<(String, String, String, String)>, PathRejection>,
                               query: RawQuery| {
            let parts = path.map(|Path((ns, resource, name, metric))| (Some(ns), resource, name, metric));
            answer(version, adapter, parts, query)
        };
        let of_namespace = move |adapter: State<Adapter>,
                                 path: Result<Path<(String, String)>, PathRejection>,
                                 query: RawQuery| {
            let parts = path.map(|Path((name, metric))| (None, "namespaces".to_owned(), name, metric));
            answer(version, adapter, parts, query)
        };
        let cluster_wide = move |adapter: State<Adapter>,
                                 path: Result<Path<(String, String, String)>, PathRejection>,
                                 query: RawQuery| {
            let parts = path.map(|Path((resource, name, metric))| (None, resource, name, metric));
            answer(version, adapter, parts, query)
        };
        router = router
            .route(
                &format!("{base}/namespaces/{{namespace}}/{{resource}}/{{name}}/{{metric}}"),
                get(namespaced),
            )
            .route(&format!("{base}/namespaces/{{namespace}}/metrics/{{metric}}"), get(of_namespace))
            .route(&format!("{base}/{{resource}}/{{name}}/{{metric}}"), get(cluster_wide));
    }
    router
}

/// What is asked for.
struct Asked {
    version: &'static str,
    namespace: Option<String>,
    resource: String,
    name: String,
    metric: String,
    /// Which pods.
    pods: Selector,
    /// Which series.
    series: Selector,
}

/// Namespace, resource, name and metric.
type Parts = (Option<String>, String, String, String);

async fn answer(
    version: &'static str,
    State(adapter): State<Adapter>,
    parts: Result<Parts, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Status> {
    let (namespace, resource, name, metric) = parts.map_err(bad_path)?;
    if namespace.as_deref() == Some("") || resource.is_empty() || name.is_empty() {
        return Err(Status::not_found("a part of the path is empty"));
    }
    let pods = selector(query.as_deref(), "labelSelector")?;
    let series = selector(query.as_deref(), "metricLabelSelector")?;
    let asked = Asked { version, namespace, resource, name, metric, pods, series };
    match (asked.resource.as_str(), &asked.namespace) {
        ("pods", Some(namespace)) => {
            let metric = catalogue::for_pods(&asked.metric).ok_or_else(|| asked.no_metric())?;
            let pods = adapter.pods_named(&asked, namespace).await?;
            let any = &[&Target::default()];
            let needs =
                |snapshot: &Snapshot| asked.question(&adapter, snapshot, metric, any, namespace).needs();
            let snapshot = adapter.snapshot(needs).await?;
            aside(|| Ok(Json(adapter.pods(&asked, namespace, metric, &pods, &snapshot)?).into_response()))
        }
        _ => {
            let metric = catalogue::for_autoscalers(&asked.metric);
            let metric = metric.filter(|metric| discovery::is_of_objects(metric));
            let metric = metric.ok_or_else(|| asked.no_metric())?;
            let object = adapter.object_named(&asked).await?;
            let (targets, namespace) = (object.targets.iter().collect::<Vec<_>>(), asked.asking_namespace());
            let needs =
                |snapshot: &Snapshot| asked.question(&adapter, snapshot, metric, &targets, namespace).needs();
            let snapshot = adapter.snapshot(needs).await?;
            aside(|| Ok(Json(adapter.object(&asked, metric, &object, &snapshot)?).into_response()))
        }
    }
}

/// Pods that are asked for, and those that show whether consumers are named like pods: where it is one, all of its
/// namespace; `None` is the same ones.
struct Pods {
    names: Vec<String>,
    peers: Option<Vec<String>>,
}

/// An object: what it stands for, and its kind and API version where they are known.
struct Named {
    targets: Vec<Target>,
    kind: Option<(String, String)>,
}

impl Asked {
    fn no_metric(&self) -> Status {
        let Asked { metric, resource, .. } = self;
        Status::not_found(format!("there is no metric {metric:?} of {resource}"))
    }

    /// A namespace that describes itself asks for itself.
    fn asking_namespace(&self) -> &str {
        match &self.namespace {
            Some(namespace) => namespace,
            None if self.resource == "namespaces" => &self.name,
            None => "",
        }
    }

    fn question<'a>(
        &'a self,
        adapter: &'a Adapter,
        snapshot: &'a Snapshot,
        metric: &'static Metric,
        targets: &'a [&'a Target],
        namespace: &'a str,
    ) -> Question<'a> {
        Question {
            snapshot,
            now: Instant::now(),
            metric,
            name: &self.metric,
            targets,
            selector: &self.series,
            policy: None,
            offer: &adapter.offered.offer,
            namespace,
        }
    }
}

impl Adapter {
    /// The consumers that are named like pods, in all groups that match.
    fn pods(
        &self,
        asked: &Asked,
        namespace: &str,
        metric: &'static Metric,
        Pods { names, peers }: &Pods,
        snapshot: &Snapshot,
    ) -> Result<serde_json::Value, Status> {
        if names.is_empty() {
            let pods = asked.pods.to_string();
            return Err(Status::not_found(format!("no pod of namespace {namespace:?} has labels {pods:?}")));
        }
        let targets = [&Target::default()];
        let question = asked.question(self, snapshot, metric, &targets, namespace);
        let all = names;
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let values = scaling::pods(&question, &names, peers.as_ref().unwrap_or(all))?;
        if values.is_empty() {
            let message = format!("none of these pods has a consumer, so they have no {}", asked.metric);
            return Err(Status::not_found(message));
        }
        self.observe(API, values.values());
        let values: Vec<_> = values
            .into_iter()
            .map(|(name, value)| {
                (Described { kind: Some(("Pod", "v1")), namespace: Some(namespace), name }, value)
            })
            .collect();
        Ok(answers::custom(asked.version, &asked.metric, &asked.series, &values))
    }

    /// The pods that are asked for and exist.
    async fn pods_named(&self, asked: &Asked, namespace: &str) -> Result<Pods, Status> {
        let unavailable = |error: Unavailable| Status::unavailable(error.to_string());
        let cluster = self.cluster("which pods there are")?;
        if asked.name == "*" {
            let names = cluster.pods(namespace, |labels| asked.pods.matches(labels)).await;
            return Ok(Pods { names: names.map_err(unavailable)?, peers: None });
        }
        let peers = cluster.pods(namespace, |_| true).await.map_err(unavailable)?;
        if !peers.contains(&asked.name) {
            let message = format!("there is no pod {:?} in namespace {namespace:?}", asked.name);
            return Err(Status::not_found(message));
        }
        Ok(Pods { names: vec![asked.name.clone()], peers: Some(peers) })
    }

    fn cluster(&self, what: &str) -> Result<&Cluster, Status> {
        self.cluster.as_ref().ok_or_else(|| {
            Status::unavailable(format!(
                "{what} is not known: streamgauge runs in no pod and has no kubernetes.kubeconfig"
            ))
        })
    }

    /// An object, by the configuration or by its annotations.
    async fn object_named(&self, asked: &Asked) -> Result<Named, Status> {
        let Asked { resource, name, .. } = asked;
        if name == "*" {
            let message = format!("{resource} cannot be asked for all at once: only pods can");
            return Err(Status::new(StatusCode::BAD_REQUEST, message));
        }
        let rules = self.offered.offer.objects.iter().filter(|rule| {
            rule.resource == *resource && rule.namespace == asked.namespace && rule.name == *name
        });
        let targets: Vec<_> = rules.map(|rule| rule.target.clone()).collect();
        if targets.is_empty() {
            let object = self.annotated(asked).await?;
            let targets = vec![annotated_target(&object, asked)?];
            return Ok(Named { targets, kind: Some((object.kind.clone(), object.api_version.clone())) });
        }
        let known = Resource::named(resource);
        let kind = known.map(|known| (known.kind.to_owned(), known.api_version.to_owned()));
        Ok(Named { targets, kind })
    }

    /// The value of an object: one, for it is one object.
    fn object(
        &self,
        asked: &Asked,
        metric: &'static Metric,
        object: &Named,
        snapshot: &Snapshot,
    ) -> Result<serde_json::Value, Status> {
        let name = &asked.name;
        let (targets, namespace): (Vec<_>, _) = (object.targets.iter().collect(), asked.asking_namespace());
        let value = scaling::combined(&asked.question(self, snapshot, metric, &targets, namespace))?;
        self.observe(API, &value);
        let kind = object.kind.as_ref().map(|(kind, version)| (kind.as_str(), version.as_str()));
        let described = Described { kind, namespace: asked.namespace.as_deref(), name };
        let values: Vec<_> = value.into_iter().map(|value| (described.clone(), value)).collect();
        Ok(answers::custom(asked.version, &asked.metric, &asked.series, &values))
    }

    async fn annotated(&self, asked: &Asked) -> Result<Arc<Object>, Status> {
        let Asked { resource, name, namespace, .. } = asked;
        let in_namespace =
            namespace.as_ref().map(|namespace| format!(" in namespace {namespace:?}")).unwrap_or_default();
        let cluster = self.cluster(&format!("what {resource} {name:?}{in_namespace} stands for"))?;
        match cluster.object(resource, namespace.as_deref(), name).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => {
                let mend =
                    Resource::meant_by(resource).map(|meant| format!("; did you mean {}?", meant.name));
                let mend = mend.unwrap_or_default();
                Err(Status::not_found(format!("there is no {resource} {name:?}{in_namespace}{mend}")))
            }
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

/// The target in an object's annotations.
fn annotated_target(object: &Object, asked: &Asked) -> Result<Target, Status> {
    let [redis, stream, group] = ANNOTATIONS.map(|name| object.annotations.get(name));
    let Asked { resource, name, .. } = asked;
    let too_long = |text: &&String| text.len() > LONGEST_ANNOTATION;
    if [redis, stream, group].iter().flatten().any(too_long) {
        let message =
            format!("an annotation of {resource} {name:?} is longer than {LONGEST_ANNOTATION} bytes");
        return Err(Status::new(StatusCode::BAD_REQUEST, message));
    }
    if stream.is_none() {
        return Err(Status::not_found(format!(
            "{resource} {name:?} stands for no stream: annotate it with {}, or name it under kubernetes.objects",
            ANNOTATIONS[1]
        )));
    }
    let pattern = |annotation: &str, text: Option<&String>| {
        let wrong = |error| {
            let message = format!("the annotation {annotation} of {resource} {name:?} is wrong: {error}");
            Status::new(StatusCode::BAD_REQUEST, message)
        };
        text.map(|text| Pattern::parse(text).map_err(wrong)).transpose()
    };
    Ok(Target {
        redis: redis.map(|name| name.as_str().into()),
        stream: pattern(ANNOTATIONS[1], stream)?,
        group: pattern(ANNOTATIONS[2], group)?,
    })
}
