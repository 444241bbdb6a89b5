//! What is looked at of the Kubernetes adapter: its certificate, the API server, whom it vouches for, who serves the metrics
//! APIs, our rights, and the metrics with names of their own.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use super::super::kubernetes::{proxy_of_file, trust};
use crate::{
    catalogue::Combine,
    cluster::{ApiService, Cluster, Looked},
    config::{Kubernetes, TlsFiles},
    model::{
        finding::{Check, Finding},
        offer::{NamedMetric, Offer},
        snapshot::Snapshot,
    },
    serve::{
        kubernetes::{external, quantity::quantity},
        scaling::Refusal,
        tls,
    },
    x509::Facts,
};

/// The APIs that the adapter serves.
const API_SERVICES: [&str; 3] =
    ["v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"];

const DOCUMENT: &str = "docs/kubernetes.md";

/// The certificate's chain; `None` for one that is made at each start.
type Chain = Option<Vec<CertificateDer<'static>>>;

/// Looks at everything; the measurements are those of one poll.
pub(super) async fn findings(config: &Kubernetes, snapshot: &Snapshot) -> Vec<Finding> {
    let (certificate, chain) = certificate(config.tls.as_ref());
    let mut findings = vec![certificate];
    let cluster = cluster(config, &mut findings).await;
    findings.push(front_proxy(config, cluster.as_ref()).await);
    for name in API_SERVICES {
        findings.push(match &cluster {
            Some(cluster) => api_service(cluster, config, name, &chain).await,
            None => Finding::skip(Check::ApiService, format!("{name}: there is no API server to ask")),
        });
    }
    findings.push(match &cluster {
        Some(cluster) => pods(cluster).await,
        None => Finding::skip(Check::Rbac, "there is no API server to ask"),
    });
    findings.extend(config.offer.named.iter().map(|named| metric(named, &config.offer, snapshot)));
    findings
}

fn certificate(files: Option<&TlsFiles>) -> (Finding, Chain) {
    let Some(TlsFiles { certificate, private_key }) = files else {
        let message = "none is given: one is made and signed by itself at each start";
        return (Finding::ok(Check::Certificate, message), None);
    };
    let chain = match tls::load([certificate, private_key]) {
        Ok((loaded, _)) => loaded.chain(),
        Err(error) => {
            let mend = "give a certificate and its private key, both in PEM";
            return (Finding::fail(Check::Certificate, error.to_string(), mend), None);
        }
    };
    let finding = match chain.first().and_then(|own| Facts::of(own)) {
        Some(facts) => {
            let signed = if facts.is_self_signed { ", self-signed" } else { "" };
            let message = format!("{}: for {facts}{signed}", certificate.display());
            Finding::of_certificate(Check::Certificate, &message, facts.days_left(SystemTime::now()))
        }
        None => Finding::ok(Check::Certificate, format!("{}: cannot be read further", certificate.display())),
    };
    (finding, Some(chain))
}

/// The API server, where it answers.
async fn cluster(config: &Kubernetes, findings: &mut Vec<Finding>) -> Option<Cluster> {
    const CHECK: Check = Check::ApiServer;
    const MEND: &str = "look at the address in the kubeconfig file, and at what stands between";
    let is_needed = config.requestheader.is_none() || config.kubeconfig.is_some();
    let cluster = match Cluster::connect(config.kubeconfig.as_deref()).await {
        Ok(cluster) => cluster,
        Err(error) if is_needed => {
            let mend = format!("see \"Switching it on\" in {DOCUMENT}");
            findings.push(Finding::fail(CHECK, error.to_string(), mend));
            return None;
        }
        Err(_) => {
            let message =
                "this is no pod, and no kubeconfig is given: no metrics of pods, none by annotations";
            findings.push(Finding::skip(CHECK, message));
            return None;
        }
    };
    match cluster.version().await {
        Ok(version) => {
            findings.push(Finding::ok(CHECK, format!("answers: {version}")));
            Some(cluster)
        }
        Err(error) => {
            findings.push(Finding::fail(CHECK, error.to_string(), MEND));
            None
        }
    }
}

async fn front_proxy(config: &Kubernetes, cluster: Option<&Cluster>) -> Finding {
    const CHECK: Check = Check::FrontProxy;
    let (source, proxy, mend) = match (&config.requestheader, cluster) {
        (Some(header), _) => {
            let mend = "give the CA that has signed the certificate of the API server's front proxy";
            let proxy = proxy_of_file(header).map_err(|error| error.to_string());
            (header.client_ca_file.display().to_string(), proxy, mend)
        }
        (None, Some(cluster)) => {
            let mend = "kubectl create rolebinding streamgauge-auth-reader -n kube-system \
                        --role=extension-apiserver-authentication-reader --serviceaccount=NAMESPACE:NAME";
            let proxy = cluster.front_proxy().await.map_err(|error| error.to_string());
            ("the ConfigMap extension-apiserver-authentication".to_owned(), proxy, mend)
        }
        (None, None) => return Finding::skip(CHECK, "there is no API server to ask"),
    };
    match proxy.and_then(|proxy| trust(&proxy).map(|_| proxy)) {
        Ok(proxy) if proxy.allowed_names.is_empty() => {
            Finding::ok(CHECK, format!("its CA is known from {source}, and any name is allowed"))
        }
        Ok(proxy) => {
            let names = proxy.allowed_names.join(", ");
            Finding::ok(CHECK, format!("its CA is known from {source}; allowed is {names}"))
        }
        Err(reason) => Finding::fail(CHECK, reason, mend),
    }
}

async fn api_service(cluster: &Cluster, config: &Kubernetes, name: &str, chain: &Chain) -> Finding {
    const CHECK: Check = Check::ApiService;
    match cluster.api_service(name).await {
        Ok(Looked::There(found)) => {
            let namespace = config.kubeconfig.is_none().then(|| cluster.namespace());
            judged(name, &found, namespace, chain)
        }
        Ok(Looked::Missing) if name.contains(".custom.") => Finding::skip(
            CHECK,
            format!("{name} does not exist: only HPAs with metrics of type Pods or Object need it"),
        ),
        Ok(Looked::Missing) => {
            let message = format!("{name} does not exist: HPAs with metrics of type External get none");
            Finding::warn(CHECK, message, format!("create it ({DOCUMENT})"))
        }
        Ok(Looked::Forbidden) => {
            let message = format!("{name}: we may not look, and need not: kubectl get apiservice {name}");
            Finding::skip(CHECK, message)
        }
        Err(error) => Finding::skip(CHECK, format!("{name}: not known: {error}")),
    }
}

/// Whether an APIService is ours, and can be of use. Nobody tells us what our Service is called: it is ours if it lies in our
/// namespace, if our certificate is for it, or if it is called like us.
fn judged(name: &str, found: &ApiService, own_namespace: Option<&str>, chain: &Chain) -> Finding {
    const CHECK: Check = Check::ApiService;
    let Some((namespace, service)) = &found.service else {
        let message = format!("{name} is served by the API server itself");
        return Finding::warn(CHECK, message, format!("give it the Service of streamgauge ({DOCUMENT})"));
    };
    let (owner, host) = (format!("{namespace}/{service}"), format!("{service}.{namespace}.svc"));
    let facts = chain.as_ref().and_then(|chain| Facts::of(chain.first()?));
    let is_ours = own_namespace == Some(namespace)
        || service.contains("streamgauge")
        || facts.is_some_and(|facts| facts.names.contains(&host));
    if !is_ours {
        let message = format!("{name} belongs to the Service {owner}, which seems to be another adapter's");
        let mend = format!("an API has one owner: see \"Beside KEDA or another adapter\" in {DOCUMENT}");
        return Finding::warn(CHECK, message, mend);
    }
    let message = format!("{name} points to the Service {owner}");
    let unverified = match (&found.ca_bundle, chain) {
        _ if found.skips_verification => None,
        (Some(bundle), Some(chain)) => tls::verify(chain, bundle, &host)
            .err()
            .map(|error| format!("its caBundle does not verify the certificate: {error}")),
        (_, None) => Some("it cannot verify a certificate that is made at each start".to_owned()),
        // The system's CAs are those of the API server's machine.
        (None, Some(_)) => None,
    };
    if let Some(why) = unverified {
        let mend = format!(
            "set caBundle to the CA of a certificate for {host} (kubernetes.tls_cert_file), or insecureSkipTLSVerify: true"
        );
        return Finding::fail(CHECK, format!("{message}, but {why}"), mend);
    }
    if let Some(why) = &found.unavailable {
        let mend = format!(
            "if streamgauge runs there: do the Service's selector and port lead to it, and is its port ready (/readyz)? \
             ({DOCUMENT})"
        );
        return Finding::warn(CHECK, format!("{message}, which is not available: {why}"), mend);
    }
    Finding::ok(CHECK, message)
}

/// Pods are needed in the namespaces of HPAs that ask for them, of which the configuration says nothing.
async fn pods(cluster: &Cluster) -> Finding {
    const CHECK: Check = Check::Rbac;
    let mut lacking = Vec::new();
    for verb in ["list", "watch"] {
        match cluster.may_with_pods(verb).await {
            Ok(true) => {}
            Ok(false) => lacking.push(verb),
            Err(error) => return Finding::skip(CHECK, format!("not known: {error}")),
        }
    }
    if lacking.is_empty() {
        return Finding::ok(CHECK, "pods can be listed and watched in all namespaces");
    }
    let message = format!("we may not {} pods in all namespaces", lacking.join(" and "));
    let mend = format!(
        "HPAs with metrics of type Pods need that, at least in their own namespaces (a RoleBinding there): see {DOCUMENT}"
    );
    Finding::warn(CHECK, message, mend)
}

fn metric(named: &NamedMetric, offer: &Offer, snapshot: &Snapshot) -> Finding {
    const CHECK: Check = Check::Metric;
    let name = &named.name;
    let Some((namespace, said)) = external::value(named, offer, snapshot) else {
        let message = format!("{name}: not asked for, since no namespace that may read it is named in full");
        return Finding::skip(CHECK, message);
    };
    match said {
        Ok(items) => {
            let combine = crate::catalogue::for_autoscalers(&named.metric).map(|metric| metric.combine);
            let numbers = items.iter().map(|item| item.value.number);
            let number = match combine {
                Some(Combine::Max) => numbers.fold(0.0, f64::max),
                _ => numbers.sum(),
            };
            let of = if items.len() == 1 { "1 item".to_owned() } else { format!("{} items", items.len()) };
            Finding::ok(CHECK, format!("{name} is {} for namespace {namespace} ({of})", quantity(number)))
        }
        Err(refusal) => {
            let message = format!("{name} has no value: {refusal}");
            match refusal {
                Refusal::Unavailable(_) => {
                    Finding::fail(CHECK, message, "mend what is told; HPAs hold until then")
                }
                Refusal::NotFound(_) | Refusal::Bad(_) => Finding::warn(
                    CHECK,
                    message,
                    "if it is yet to come, name the group under redis[].groups.expect; else correct kubernetes.metrics",
                ),
            }
        }
    }
}
