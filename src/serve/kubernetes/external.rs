//! `external.metrics.k8s.io`: a metric of the catalogue, or one with a name of the user's own, over the series that a
//! selector matches.

use std::time::Instant;

use axum::{
    Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
    routing::get,
};

use super::{Adapter, Shared, answers, aside, bad_path, selector, status::Status};
use crate::{
    catalogue,
    model::{offer::Target, selector::Selector},
    serve::scaling::{self, Question},
};

/// Its `api` label.
pub const API: &str = "external";

/// The routes of the API's one version.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}", get(metric))
}

async fn metric(
    State(adapter): State<Adapter>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Status> {
    let Path((namespace, name)) = path.map_err(bad_path)?;
    let selector = selector(query.as_deref(), "labelSelector")?;
    aside(|| answer(&adapter, &namespace, &name, &selector))
}

fn answer(
    adapter: &Adapter,
    namespace: &str,
    name: &str,
    selector: &Selector,
) -> Result<serde_json::Value, Status> {
    // Where a name exists that the namespace may not read, the answer is that of a name which does not exist.
    let missing =
        || Status::not_found(format!("there is no external metric {name:?} for namespace {namespace:?}"));
    if namespace.is_empty() {
        return Err(missing());
    }
    let named = adapter.offered.offer.named.iter().find(|named| *named.name == *name);
    if named.is_some_and(|named| !named.namespaces.contain(namespace)) {
        return Err(missing());
    }
    let any = Target::default();
    let (metric, target, policy) = match named {
        Some(named) => (&*named.metric, &named.target, Some(named.policy)),
        None => (name, &any, None),
    };
    let metric = catalogue::for_autoscalers(metric).ok_or_else(missing)?;
    let snapshot = adapter.app.snapshot();
    let question = Question {
        snapshot: &snapshot,
        now: Instant::now(),
        metric,
        name,
        targets: &[target],
        selector,
        policy,
        offer: &adapter.offered.offer,
        namespace,
    };
    let items = scaling::items(&question)?;
    adapter.observe(API, items.iter().map(|item| &item.value));
    Ok(answers::external(name, &items))
}
