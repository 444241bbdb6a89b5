//! `external.metrics.k8s.io`: a metric of the catalogue, or one with a name of the user's own, over the series that a
//! selector matches.

use std::time::Instant;

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::{Adapter, Shared, answers, aside, bad_path, selector, status::Status};
use crate::{
    catalogue,
    model::{
        name::Name,
        offer::{NamedMetric, Namespaces, Offer, Target},
        pattern::Pattern,
        selector::Selector,
        snapshot::Snapshot,
    },
    serve::scaling::{self, Item, Question, Refusal},
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
    // Where a name exists that the namespace may not read, the answer is that of a name which does not exist.
    let missing =
        || Status::not_found(format!("there is no external metric {name:?} for namespace {namespace:?}"));
    let offer = &adapter.offered.offer;
    let named = offer.named.iter().find(|named| *named.name == *name);
    let may_read = named.is_none_or(|named| named.namespaces.contain(&namespace));
    if namespace.is_empty() || !may_read {
        return Err(missing());
    }
    let asked = Asked { offer, named, name: &name, selector: &selector, namespace: &namespace };
    let ask = |snapshot: &Snapshot| asked.of(snapshot, |question| question.needs());
    let snapshot = adapter.snapshot(|snapshot| ask(snapshot).unwrap_or_default()).await?;
    aside(|| {
        let items = asked.of(&snapshot, scaling::items).ok_or_else(missing)??;
        adapter.observe(API, items.iter().map(|item| &item.value));
        Ok(Json(answers::external(&name, &items)).into_response())
    })
}

/// What a namespace asks for.
struct Asked<'a> {
    offer: &'a Offer,
    /// The metric, where it has a name of the user's own.
    named: Option<&'a NamedMetric>,
    name: &'a str,
    selector: &'a Selector,
    namespace: &'a str,
}

impl Asked<'_> {
    /// What the question about a snapshot brings; `None` where autoscalers may not read the metric.
    fn of<T>(&self, snapshot: &Snapshot, ask: impl FnOnce(&Question<'_>) -> T) -> Option<T> {
        let Asked { offer, named, name, selector, namespace } = *self;
        let any = Target::default();
        let (metric, target, policy) = match named {
            Some(named) => (&*named.metric, &named.target, Some(named.policy)),
            None => (name, &any, None),
        };
        let metric = catalogue::for_autoscalers(metric)?;
        let (now, targets) = (Instant::now(), &[target]);
        Some(ask(&Question { snapshot, now, metric, name, targets, selector, policy, offer, namespace }))
    }
}

/// What a metric with a name of its own says now, and to which namespace: of those that the configuration names, the first
/// that gets a number. `None` where it names none that may read the metric.
#[must_use]
pub fn value(
    named: &NamedMetric,
    offer: &Offer,
    snapshot: &Snapshot,
) -> Option<(String, Result<Vec<Item>, Refusal>)> {
    let rules = offer.streams.iter().map(|rule| &rule.namespaces);
    let patterns = [&named.namespaces].into_iter().chain(rules).flat_map(|namespaces| match namespaces {
        Namespaces::All => &[],
        Namespaces::Only(patterns) => &patterns[..],
    });
    let named_there = patterns.filter_map(|pattern| match pattern {
        Pattern::Exact(name) => Some(name.text().to_owned()),
        // Any that fits is as good.
        Pattern::Glob(glob) => {
            let name: String = glob.text().chars().filter(|c| !"*?[]^\\".contains(*c)).collect();
            glob.matches(&Name::from(&*name)).then_some(name)
        }
    });
    let namespaces = named_there.chain(["default".to_owned()]);
    let namespaces =
        namespaces.filter(|namespace| !namespace.is_empty() && named.namespaces.contain(namespace));
    let mut asked: Vec<_> = namespaces
        .filter_map(|namespace| {
            let (name, selector) = (&*named.name, &Selector::default());
            let asked = Asked { offer, named: Some(named), name, selector, namespace: &namespace };
            let said = asked.of(snapshot, scaling::items)?;
            Some((namespace, said))
        })
        .collect();
    let best = asked.iter().position(|(_, said)| said.is_ok()).unwrap_or(0);
    (best < asked.len()).then(|| asked.swap_remove(best))
}
