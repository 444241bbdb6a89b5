//! Whom the API server vouches for: the front proxy's certificate authority and the headers that it writes, as the
//! cluster publishes them for servers such as this one.

use std::{collections::BTreeMap, sync::Arc};

use kube::Client;
use rustls::RootCertStore;
use tokio::sync::watch;

use super::{
    Limits,
    follow::{self, Collection, Item, News},
};
use crate::pem;

/// Namespace of the ConfigMap.
const NAMESPACE: &str = "kube-system";
/// Name of the ConfigMap.
const NAME: &str = "extension-apiserver-authentication";

/// Who may say on whose behalf a request comes, and in which headers.
///
/// The API server proves with a certificate of this authority that it is the API server; then the headers are true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxy {
    /// Certificates of the authority, in PEM.
    pub client_ca: String,
    /// Common names that the certificate may have; any, where none are named.
    pub allowed_names: Vec<String>,
    /// Headers with the name of the user: the first that is there counts.
    pub username_headers: Vec<String>,
    /// Headers with the user's groups.
    pub group_headers: Vec<String>,
}

/// What is wrong with the ConfigMap; the message names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {problem}")]
pub struct FrontProxyError {
    key: &'static str,
    problem: String,
}

const CLIENT_CA: &str = "requestheader-client-ca-file";
const ALLOWED_NAMES: &str = "requestheader-allowed-names";
const USERNAME_HEADERS: &str = "requestheader-username-headers";
const GROUP_HEADERS: &str = "requestheader-group-headers";

impl FrontProxy {
    /// A front proxy with this authority, any name, and the headers that the API server writes.
    ///
    /// # Errors
    /// There is no certificate in the text, or one that is none.
    pub fn new(client_ca: String) -> Result<Self, FrontProxyError> {
        check_authority(&client_ca)?;
        Ok(FrontProxy {
            client_ca,
            allowed_names: vec![],
            username_headers: vec!["X-Remote-User".to_owned()],
            group_headers: vec!["X-Remote-Group".to_owned()],
        })
    }

    /// From the data of the ConfigMap. What it does not name is as in [`FrontProxy::new`].
    ///
    /// # Errors
    /// A key is missing or malformed.
    pub fn from_data(data: &BTreeMap<String, String>) -> Result<Self, FrontProxyError> {
        let Some(client_ca) = data.get(CLIENT_CA) else {
            let problem = "is missing: the API server has no --requestheader-client-ca-file".to_owned();
            return Err(FrontProxyError { key: CLIENT_CA, problem });
        };
        let defaults = FrontProxy::new(client_ca.clone())?;
        let headers = |key, default| match names(data, key)? {
            names if names.is_empty() => Ok(default),
            names => match names.iter().find(|name| !is_header(name)) {
                Some(name) => {
                    Err(FrontProxyError { key, problem: format!("names {name:?}, which is no header") })
                }
                None => Ok(names),
            },
        };
        Ok(FrontProxy {
            allowed_names: names(data, ALLOWED_NAMES)?,
            username_headers: headers(USERNAME_HEADERS, defaults.username_headers)?,
            group_headers: headers(GROUP_HEADERS, defaults.group_headers)?,
            client_ca: defaults.client_ca,
        })
    }
}

fn check_authority(text: &str) -> Result<(), FrontProxyError> {
    let wrong = |problem: String| FrontProxyError { key: CLIENT_CA, problem };
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(text.as_bytes()).map_err(|error| wrong(error.to_owned()))? {
        roots.add(certificate).map_err(|error| wrong(format!("holds what is no certificate: {error}")))?;
    }
    Ok(())
}

/// An array of strings, in JSON; a missing one is empty.
fn names(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, FrontProxyError> {
    match data.get(key).map(|text| text.trim()) {
        None | Some("") => Ok(vec![]),
        Some(text) => serde_json::from_str(text).map_err(|error| FrontProxyError {
            key,
            problem: format!("is no JSON array of strings: {error}"),
        }),
    }
}

/// A token of HTTP.
fn is_header(name: &str) -> bool {
    hyper::header::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// Follows the ConfigMap for ever, and publishes what it says.
pub async fn follow(client: &Client, limits: Limits, publish: &watch::Sender<Option<Arc<FrontProxy>>>) {
    let what = config_map();
    let mut journal = Journal::default();
    follow::follow(client, &what, limits, |news, _| {
        let item = match news {
            News::Failed(reason) => return journal.failed(reason),
            News::Watching => return journal.works(),
            News::Alive => return,
            News::Listed(items) => items.into_iter().find(|item| item.metadata.name == NAME),
            News::Put(item) if item.metadata.name == NAME => Some(item),
            News::Gone(name) if name == NAME => None,
            News::Put(_) | News::Gone(_) => return,
        };
        let read = read(item);
        if let Ok(new) = &read {
            publish.send_if_modified(|current| {
                let differs = current.as_deref() != Some(new);
                if differs {
                    *current = Some(Arc::new(new.clone()));
                }
                differs
            });
        }
        journal.read(read.map(|_| ()));
    })
    .await;
}

/// What the ConfigMap says at this moment.
///
/// # Errors
/// It cannot be read, or is wrong.
pub async fn once(client: &Client, limits: Limits) -> Result<FrontProxy, String> {
    let items = follow::once(client, &config_map(), limits).await?;
    read(items.into_iter().find(|item| item.metadata.name == NAME))
}

fn config_map() -> Collection {
    Collection {
        path: format!("/api/v1/namespaces/{NAMESPACE}/configmaps"),
        only: Some(NAME.to_owned()),
        metadata_only: false,
        grant: "bind the Role extension-apiserver-authentication-reader of kube-system",
    }
}

fn read(item: Option<Item>) -> Result<FrontProxy, String> {
    let item = item.ok_or_else(|| format!("there is no ConfigMap {NAME} in {NAMESPACE}"))?;
    FrontProxy::from_data(&item.data).map_err(|error| error.to_string())
}

/// What was logged, so that it is not logged again.
#[derive(Default)]
struct Journal {
    /// Why the ConfigMap could not be followed, at first.
    broken: bool,
    /// What is wrong with what it says; `None` before it was read.
    wrong: Option<Result<(), String>>,
}

impl Journal {
    fn failed(&mut self, reason: String) {
        if !self.broken {
            tracing::warn!(reason, "front proxy cannot be followed: what is known of it stays");
        }
        self.broken = true;
    }

    fn works(&mut self) {
        if self.broken {
            tracing::info!("front proxy can be followed again");
        }
        self.broken = false;
    }

    fn read(&mut self, read: Result<(), String>) {
        let read = Some(read);
        if self.wrong != read {
            match &read {
                Some(Err(reason)) => {
                    tracing::warn!(reason, "front proxy is wrong: what is known of it stays")
                }
                _ => tracing::info!("front proxy is known"),
            }
        }
        self.wrong = read;
    }
}
