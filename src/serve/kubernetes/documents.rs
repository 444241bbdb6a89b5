//! Documents about what is served: discovery, which a reload may change, and OpenAPI, which stays; each with an ETag.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Adapter, Shared,
    discovery::{self, Served},
    openapi,
};
use crate::model::offer::Offer;

const JSON: &str = "application/json";

/// One document in one form.
#[derive(Debug)]
struct Document {
    content_type: String,
    body: Bytes,
    hash: String,
}

impl Document {
    fn new(content_type: impl Into<String>, content: &Value) -> Arc<Document> {
        let body = Bytes::from(content.to_string());
        let mut hash = String::new();
        for byte in Sha256::digest(&body) {
            // Writing to a String cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        Arc::new(Document { content_type: content_type.into(), body, hash })
    }

    /// The document, or 304 where the client has it already.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let etag = format!("\"{}\"", self.hash);
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known
            .flat_map(|value| value.split(','))
            .any(|known| known.trim().trim_start_matches("W/") == etag || known.trim() == "*");
        let common = [(header::ETAG, etag), (header::VARY, "Accept".to_owned())];
        if is_known {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, self.content_type.clone())];
        (common, content_type, self.body.clone()).into_response()
    }
}

/// The documents that name what the configuration offers.
pub struct Documents {
    /// Those of aggregated discovery, by version.
    aggregated: Vec<(&'static str, Arc<Document>)>,
    /// The lists of resources, in the order of [`groups_and_versions`].
    resources: Vec<Arc<Document>>,
}

impl Documents {
    /// Those about what the catalogue has for autoscalers, and what the configuration adds.
    pub fn new(offer: &Offer) -> Documents {
        let served = Served::new(offer);
        let aggregated = discovery::AGGREGATED.iter().map(|version| {
            let content_type = format!("{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
            (*version, Document::new(content_type, &discovery::aggregated(version, &served)))
        });
        let resources = groups_and_versions().map(|(group, version)| {
            Document::new(JSON, &discovery::api_resource_list(group, version, &served))
        });
        Documents { aggregated: aggregated.collect(), resources: resources.collect() }
    }
}

fn groups_and_versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    discovery::GROUPS
        .iter()
        .flat_map(|(group, versions)| versions.iter().map(move |version| (*group, *version)))
}

/// The routes of all documents about what is served.
pub(super) fn router() -> Router<Shared> {
    let groups = Document::new(JSON, &discovery::api_group_list());
    let mut router = both(Router::new(), "/apis", move |adapter, headers| {
        let wanted = discovery::aggregated_version(headers);
        let aggregated = &adapter.offered.documents.aggregated;
        let form = aggregated.iter().find(|(version, _)| Some(*version) == wanted);
        form.map_or(&groups, |(_, document)| document).clone()
    });
    for (group, versions) in discovery::GROUPS {
        router = plain(router, &format!("/apis/{group}"), &discovery::api_group(group, versions));
    }
    for (number, (group, version)) in groups_and_versions().enumerate() {
        router = both(router, &format!("/apis/{group}/{version}"), move |adapter, _| {
            adapter.offered.documents.resources[number].clone()
        });
    }
    openapi_routes(plain(router, "/openapi/v2", &openapi::v2()))
}

/// A document that stays.
fn plain(router: Router<Shared>, path: &str, content: &Value) -> Router<Shared> {
    let document = Document::new(JSON, content);
    both(router, path, move |_, _| document.clone())
}

/// A document with and without a slash at the end: people type both.
fn both(
    mut router: Router<Shared>,
    path: &str,
    document: impl Fn(&Adapter, &HeaderMap) -> Arc<Document> + Clone + Send + Sync + 'static,
) -> Router<Shared> {
    for path in [path.to_owned(), format!("{path}/")] {
        let document = document.clone();
        let answer = move |State(adapter): State<Adapter>, headers: HeaderMap| async move {
            document(&adapter, &headers).answer(&headers)
        };
        router = router.route(&path, get(answer));
    }
    router
}

/// A document for each group and version, and one that names them all with their hashes: under its hash, a document never
/// changes.
fn openapi_routes(mut router: Router<Shared>) -> Router<Shared> {
    let mut root = serde_json::Map::new();
    for (group, versions) in discovery::GROUPS {
        for version in *versions {
            let document = Document::new(JSON, &openapi::v3(group, version));
            let path = format!("/openapi/v3/apis/{group}/{version}");
            let url = format!("{path}?hash={}", document.hash);
            let answer = move |uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap| async move {
                hashed(&document, &uri, query.as_deref(), &headers)
            };
            router = router.route(&path, get(answer));
            root.insert(format!("apis/{group}/{version}"), serde_json::json!({"serverRelativeURL": url}));
        }
    }
    plain(router, "/openapi/v3", &serde_json::json!({"paths": root}))
}

fn hashed(document: &Document, uri: &Uri, query: Option<&str>, headers: &HeaderMap) -> Response {
    let hash = query.and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "hash").map(|(_, hash)| hash)
    });
    match hash {
        None => document.answer(headers),
        Some(hash) if hash == document.hash.as_str() => {
            let mut answer = document.answer(headers);
            let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
            answer.headers_mut().insert(header::CACHE_CONTROL, forever);
            answer
        }
        // Of another version of this program: here is the one that there is.
        Some(_) => {
            let current = format!("{}?hash={}", uri.path(), document.hash);
            (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, current)]).into_response()
        }
    }
}
