//! `custom.metrics.k8s.io`: metrics of pods, which are consumers of the same name, and of objects that stand for groups.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    routing::get,
};

use super::{
    Adapter,
    answers::{self, Described},
    discovery, selector,
    status::Status,
};
use crate::{
    catalogue::{self, Metric},
    cluster::{Cluster, Object},
    model::{offer::Target, pattern::Pattern, selector::Selector, snapshot::Snapshot},
    serve::scaling::{self, Question, Value},
};

/// Its `api` label.
pub const API: &str = "custom";

/// Annotations with which an object says what it stands for: streams and groups by name or glob, the server by name.
pub const ANNOTATIONS: [&str; 3] = ["streamgauge.io/redis", "streamgauge.io/stream", "streamgauge.io/group"];

/// The routes of both versions. Namespaces are asked for in a form of their own; other objects by resource and name.
pub fn router() -> Router<Adapter> {
    let mut router = Router::new();
    for version in ["v1beta1", "v1beta2"] {
        let base = format!("/apis/custom.metrics.k8s.io/{version}");
        let namespaced =
            move |adapter: State<Adapter>,
                  Path((namespace, resource, name, metric)): Path<(String, String, String, String)>,
                  query: RawQuery| {
                answer(version, adapter, Some(namespace), resource, name, metric, query)
            };
        let of_namespace = move |adapter: State<Adapter>,
                                 Path((namespace, metric)): Path<(String, String)>,
                                 query: RawQuery| {
            answer(version, adapter, None, "namespaces".into(), namespace, metric, query)
        };
        let cluster_wide = move |adapter: State<Adapter>,
                                 Path((resource, name, metric)): Path<(String, String, String)>,
                                 query: RawQuery| {
            answer(version, adapter, None, resource, name, metric, query)
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

async fn answer(
    version: &'static str,
    State(adapter): State<Adapter>,
    namespace: Option<String>,
    resource: String,
    name: String,
    metric: String,
    RawQuery(query): RawQuery,
) -> Result<Json<serde_json::Value>, Status> {
    if namespace.as_deref() == Some("") || resource.is_empty() || name.is_empty() {
        return Err(Status::not_found("a part of the path is empty"));
    }
    let pods = selector(query.as_deref(), "labelSelector")?;
    let series = selector(query.as_deref(), "metricLabelSelector")?;
    let asked = Asked { version, namespace, resource, name, metric, pods, series };
    match (asked.resource.as_str(), &asked.namespace) {
        ("pods", Some(namespace)) => adapter.pods(&asked, namespace).await,
        _ => adapter.object(&asked).await,
    }
}

impl Asked {
    fn no_metric(&self) -> Status {
        let Asked { metric, resource, .. } = self;
        Status::not_found(format!("there is no metric {metric:?} of {resource}"))
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
            targets,
            selector: &self.series,
            policy: None,
            offer: &adapter.offer,
            namespace,
        }
    }
}

impl Adapter {
    /// The consumers that are named like pods, in all groups that match.
    async fn pods(&self, asked: &Asked, namespace: &str) -> Result<Json<serde_json::Value>, Status> {
        let metric = catalogue::for_pods(&asked.metric).ok_or_else(|| asked.no_metric())?;
        let names = self.pod_names(asked, namespace).await?;
        let (any, snapshot) = (Target::default(), self.app.snapshot());
        let targets = [&any];
        let question = asked.question(self, &snapshot, metric, &targets, namespace);
        let values = scaling::pods(&question, names.iter().map(String::as_str))?;
        if values.is_empty() {
            let Asked { metric, name, .. } = asked;
            let message = if names.is_empty() {
                format!(
                    "no pod of namespace {namespace:?} matches {name:?} with labels {:?}",
                    asked.pods.to_string()
                )
            } else {
                format!("no consumer is named like one of these pods, so they have no {metric}")
            };
            return Err(Status::not_found(message));
        }
        self.observe(API, values.values());
        let values: Vec<_> = values
            .into_iter()
            .map(|(name, value)| {
                (Described { kind: Some(("Pod", "v1")), namespace: Some(namespace), name }, value)
            })
            .collect();
        Ok(Json(answers::custom(asked.version, &asked.metric, &asked.series, &values)))
    }

    /// The pods that are asked for and exist.
    async fn pod_names(&self, asked: &Asked, namespace: &str) -> Result<Vec<String>, Status> {
        let cluster = self.cluster("which pods there are")?;
        if asked.name == "*" {
            let found = cluster.pods(namespace, |labels| asked.pods.matches(labels)).await;
            return found.map_err(|error| Status::unavailable(error.to_string()));
        }
        match cluster.has_pod(namespace, &asked.name).await {
            Ok(true) => Ok(vec![asked.name.clone()]),
            Ok(false) => {
                Err(Status::not_found(format!("there is no pod {:?} in namespace {namespace:?}", asked.name)))
            }
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    fn cluster(&self, what: &str) -> Result<&Cluster, Status> {
        self.cluster.as_ref().ok_or_else(|| {
            Status::unavailable(format!(
                "{what} is not known: streamgauge runs in no pod and has no kubernetes.kubeconfig"
            ))
        })
    }

    /// What an object stands for, by the configuration or by its annotations: one value, for it is one object.
    async fn object(&self, asked: &Asked) -> Result<Json<serde_json::Value>, Status> {
        let Asked { resource, name, .. } = asked;
        let metric =
            catalogue::for_autoscalers(&asked.metric).filter(|metric| discovery::is_of_objects(metric));
        let metric = metric.ok_or_else(|| asked.no_metric())?;
        if name == "*" {
            let message = format!("{resource} cannot be asked for all at once: only pods can");
            return Err(Status::new(StatusCode::BAD_REQUEST, message));
        }
        let rules = self.offer.objects.iter().filter(|rule| {
            rule.resource == *resource && rule.namespace == asked.namespace && rule.name == *name
        });
        let mut targets: Vec<_> = rules.map(|rule| rule.target.clone()).collect();
        let mut object = None;
        if targets.is_empty() {
            let found = self.annotated(asked).await?;
            targets.push(annotated_target(&found, asked)?);
            object = Some(found);
        }
        // A namespace that describes itself asks for itself.
        let namespace = match &asked.namespace {
            Some(namespace) => namespace,
            None if resource == "namespaces" => name,
            None => "",
        };
        let (targets, snapshot): (Vec<_>, _) = (targets.iter().collect(), self.app.snapshot());
        let items = scaling::items(&asked.question(self, &snapshot, metric, &targets, namespace))?;
        let value = combined(metric, items.into_iter().map(|item| item.value));
        self.observe(API, &value);
        let kind = match &object {
            Some(object) => Some((object.kind.as_str(), object.api_version.as_str())),
            None => {
                KINDS.iter().find(|(known, ..)| known == resource).map(|(_, kind, version)| (*kind, *version))
            }
        };
        let described = Described { kind, namespace: asked.namespace.as_deref(), name };
        let values: Vec<_> = value.into_iter().map(|value| (described.clone(), value)).collect();
        Ok(Json(answers::custom(asked.version, &asked.metric, &asked.series, &values)))
    }

    async fn annotated(&self, asked: &Asked) -> Result<Arc<Object>, Status> {
        let Asked { resource, name, namespace, .. } = asked;
        let in_namespace =
            namespace.as_ref().map(|namespace| format!(" in namespace {namespace:?}")).unwrap_or_default();
        let cluster = self.cluster(&format!("what {resource} {name:?}{in_namespace} stands for"))?;
        match cluster.object(resource, namespace.as_deref(), name).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(Status::not_found(format!("there is no {resource} {name:?}{in_namespace}"))),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

/// Kind and API version of resources whose objects may stand in the configuration.
const KINDS: &[(&str, &str, &str)] = &[
    ("cronjobs.batch", "CronJob", "batch/v1"),
    ("daemonsets.apps", "DaemonSet", "apps/v1"),
    ("deployments.apps", "Deployment", "apps/v1"),
    ("jobs.batch", "Job", "batch/v1"),
    ("namespaces", "Namespace", "v1"),
    ("replicasets.apps", "ReplicaSet", "apps/v1"),
    ("services", "Service", "v1"),
    ("statefulsets.apps", "StatefulSet", "apps/v1"),
];

/// The target in an object's annotations.
fn annotated_target(object: &Object, asked: &Asked) -> Result<Target, Status> {
    let [redis, stream, group] = ANNOTATIONS.map(|name| object.annotations.get(name));
    let Asked { resource, name, .. } = asked;
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

/// Several values as one: the number by the metric's rule, the oldest of the times.
fn combined(metric: &Metric, values: impl Iterator<Item = Value>) -> Option<Value> {
    values.reduce(|a, b| Value {
        number: metric.combine.of(a.number, b.number),
        measured_at: a.measured_at.min(b.measured_at),
    })
}
