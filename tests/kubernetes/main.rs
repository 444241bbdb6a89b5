//! The adapter behind a real Kubernetes control plane: kube-apiserver aggregates it, the HorizontalPodAutoscaler of
//! kube-controller-manager scales by it, kubectl shows it.
//!
//! `STREAMGAUGE_TEST_KUBERNETES` names the folder with the programs (`make test-kubernetes` builds them). Each test has
//! a control plane and a streamgauge of its own, which runs with the service account and the rights that
//! `docs/kubernetes.md` gives it, and is registered by the manifests that stand there.

mod chart;
mod control_plane;
mod documents;
mod example;
mod kustomize;
mod scaling;
mod scene;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with the other integration binaries")]
mod support;
#[path = "../deploy/tools.rs"]
#[allow(dead_code, reason = "shared with the tests of what is shipped")]
mod tools;
