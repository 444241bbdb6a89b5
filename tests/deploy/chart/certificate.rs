//! The certificate that the chart makes: the API server can verify the adapter by it. That an upgrade keeps it is told by
//! `tests/kubernetes`, for it takes a cluster.

use std::{sync::Arc, time::SystemTime};

use k8s_openapi::ByteString;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{ServerName, UnixTime},
};
use serde_json::Value;
use streamgauge::{pem, x509::Facts};

use super::render;
use crate::objects::{find, text};

fn decoded(value: &Value) -> String {
    let bytes: ByteString = serde_json::from_value(value.clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

#[test]
fn it_is_for_the_service_and_signed_by_the_bundle() {
    let objects =
        render("adapter: {apiServices: {custom: true}, certificate: {generated: {validDays: 500}}}");
    let secret = find(&objects, "Secret", "streamgauge-tls");
    assert_eq!(
        text(secret, "/metadata/annotations/streamgauge.io~1server-name"),
        "streamgauge.streamgauge.svc"
    );
    let ca = decoded(&secret["data"]["ca.crt"]);
    assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 1);
    for api in
        ["v1beta1.external.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"]
    {
        assert_eq!(decoded(&find(&objects, "APIService", api)["spec"]["caBundle"]), ca, "{api}");
    }
    let chain = pem::certificates(decoded(&secret["data"]["tls.crt"]).as_bytes()).unwrap();
    pem::private_key(decoded(&secret["data"]["tls.key"]).as_bytes()).unwrap();
    let now = SystemTime::now();
    let days = Facts::of(&chain[0]).unwrap().days_left(now);
    assert!((499..=500).contains(&days), "{days}");
    let expires: u64 = text(secret, "/metadata/annotations/streamgauge.io~1expires").parse().unwrap();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let told = (expires - now) / 86_400;
    assert!((499..=500).contains(&told), "{told}");

    let mut believed = RootCertStore::empty();
    believed.add(pem::certificates(ca.as_bytes()).unwrap().remove(0)).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(believed), provider).build().unwrap();
    let verify = |name: &'static str| {
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(&chain[0], &[], &name, &[], UnixTime::now())
    };
    verify("streamgauge.streamgauge.svc").unwrap();
    verify("streamgauge.other.svc").unwrap_err();
}
