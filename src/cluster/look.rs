//! What `streamgauge check` asks the API server, once: whether it answers, what it publishes, what we may, and who serves
//! the metrics APIs.

use k8s_openapi::ByteString;
use kube::{Client, api::GetParams, core::Request};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Cluster,
    error::{self, Unavailable},
    front_proxy::{self, FrontProxy},
};

/// An object that the exporter itself has no need of, and so may be forbidden to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked<T> {
    /// Here it is.
    There(T),
    /// There is none.
    Missing,
    /// We may not look.
    Forbidden,
}

/// Who serves one version of an API group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiService {
    /// Namespace and name of the Service; `None` is the API server itself.
    pub service: Option<(String, String)>,
    /// Whether its certificate is not verified.
    pub skips_verification: bool,
    /// The CA that has to have signed its certificate, in PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// Why it is not available; `None` where it is, or nobody says.
    pub unavailable: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "gitVersion")]
    git_version: String,
}

#[derive(Deserialize)]
struct Raw {
    spec: Spec,
    #[serde(default)]
    status: Conditions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    service: Option<Service>,
    #[serde(default, rename = "insecureSkipTLSVerify")]
    skips_verification: bool,
    ca_bundle: Option<ByteString>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Default, Deserialize)]
struct Conditions {
    #[serde(default, deserialize_with = "super::follow::or_default")]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Review {
    status: Verdict,
}

#[derive(Deserialize)]
struct Verdict {
    allowed: bool,
}

impl Cluster {
    /// The namespace that the service account of this pod lies in, or that the kubeconfig file says.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.client.default_namespace()
    }

    /// The version of the API server.
    ///
    /// # Errors
    /// No answer that is one.
    pub async fn version(&self) -> Result<String, Unavailable> {
        let request = Request::new("").get("version", &GetParams::default());
        let version: Version = self.ask(request).await?.map_err(|error| unavailable(&error))?;
        Ok(error::bounded(&version.git_version))
    }

    /// Whom the API server vouches for at this moment.
    ///
    /// # Errors
    /// That cannot be read, or is wrong.
    pub async fn front_proxy(&self) -> Result<FrontProxy, Unavailable> {
        front_proxy::once(&self.0.client, self.0.limits).await.map_err(Unavailable::new)
    }

    /// Who serves a version of an API group, as `v1beta1.external.metrics.k8s.io`.
    ///
    /// # Errors
    /// That is not known.
    pub async fn api_service(&self, name: &str) -> Result<Looked<ApiService>, Unavailable> {
        let request =
            Request::new("/apis/apiregistration.k8s.io/v1/apiservices").get(name, &GetParams::default());
        match self.ask::<Raw>(request).await? {
            Ok(raw) => Ok(Looked::There(raw.into())),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Looked::Missing),
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(Looked::Forbidden),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Whether we may do this with the pods of all namespaces.
    ///
    /// # Errors
    /// That is not known.
    pub async fn may_with_pods(&self, verb: &str) -> Result<bool, Unavailable> {
        let attributes = json!({"verb": verb, "resource": "pods"});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let request = Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .create(&kube::api::PostParams::default(), review.to_string().into_bytes());
        let review: Review = self.ask(request).await?.map_err(|error| unavailable(&error))?;
        Ok(review.status.allowed)
    }

    /// One question; what is wrong with the answer is for whoever asked.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<kube::Result<T>, Unavailable> {
        let request = request.map_err(|error| Unavailable::new(error.to_string()))?;
        let (client, limit): (&Client, _) = (&self.0.client, self.0.limits.answer);
        match tokio::time::timeout(limit, client.request(request)).await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(Unavailable::new(error::no_answer(limit))),
        }
    }
}

fn unavailable(error: &kube::Error) -> Unavailable {
    Unavailable::new(error::reason(error, "bind the ClusterRole system:basic-user"))
}

impl From<Raw> for ApiService {
    fn from(raw: Raw) -> Self {
        let conditions = raw.status.conditions;
        let unavailable = conditions.into_iter().find(|one| one.kind == "Available" && one.status == "False");
        ApiService {
            service: raw.spec.service.map(|service| (service.namespace, service.name)),
            skips_verification: raw.spec.skips_verification,
            ca_bundle: raw.spec.ca_bundle.map(|bundle| bundle.0).filter(|bundle| !bundle.is_empty()),
            unavailable: unavailable.map(|one| error::bounded(&format!("{}: {}", one.reason, one.message))),
        }
    }
}
