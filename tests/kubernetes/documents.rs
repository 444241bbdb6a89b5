//! What the API server makes of the adapter's documents.

use serde_json::Value;

use crate::{scene::Scene, support::https::Https};

const BACKLOG: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/redis_stream_group_backlog?labelSelector=stream%3Dorders";

#[test]
fn the_api_server_serves_it_all_and_complains_of_nothing() {
    let scene = Scene::start();
    scene.redis.add("orders", 950);
    scene.gauge.poll();
    assert_eq!(scene.raw(BACKLOG).unwrap()["items"][0]["value"], "950");

    // As kubectl lists what there is.
    let listed = scene.until("kubectl to list the metrics", || {
        let listed = scene.cluster.try_kubectl(&["api-resources", "--api-group=external.metrics.k8s.io"])?;
        if listed.contains("redis_stream_group_backlog") { Ok(listed) } else { Err(listed) }
    });
    assert!(listed.contains("ExternalMetricValueList"), "{listed}");

    // The aggregated discovery is ours, not one that the API server put together from the plain form.
    let groups = scene.until("discovery to be current", || {
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let groups = discovery(&scene, accept);
        let found = ["external.metrics.k8s.io", "custom.metrics.k8s.io"].map(|name| {
            let items = groups["items"].as_array().unwrap().iter();
            items.filter(|group| group["metadata"]["name"] == name).cloned().collect::<Vec<_>>()
        });
        if found.iter().all(|groups| groups.len() == 1) { Ok(found) } else { Err(groups.to_string()) }
    });
    for version in groups.iter().flatten().flat_map(|group| group["versions"].as_array().unwrap()) {
        assert_eq!(version["freshness"], "Current", "{version}");
        assert!(!version["resources"].as_array().unwrap().is_empty(), "{version}");
    }

    // Its OpenAPI is in the API server's own.
    scene.until("openapi v3 to have it", || {
        let root = scene.raw("/openapi/v3")?;
        for group in [
            "external.metrics.k8s.io/v1beta1",
            "custom.metrics.k8s.io/v1beta1",
            "custom.metrics.k8s.io/v1beta2",
        ] {
            let url = root["paths"][format!("apis/{group}")]["serverRelativeURL"].as_str().ok_or(group)?;
            let document = scene.raw(url)?;
            if document["components"]["schemas"].as_object().is_none_or(|schemas| schemas.is_empty()) {
                return Err(document.to_string());
            }
        }
        Ok(())
    });
    scene.until("openapi v2 to have it", || {
        let document = scene.raw("/openapi/v2")?;
        let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metricName}";
        document["paths"].get(path).map(|_| ()).ok_or_else(|| "it is not there".to_owned())
    });

    // Errors reach the user as they were written.
    let error = scene.raw("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/nothing").unwrap_err();
    assert_eq!(
        error,
        "Error from server (NotFound): there is no external metric \"nothing\" for namespace \"shop\"\n"
    );
    let error = scene.raw(&BACKLOG.replace("stream%3D", "steam%3D")).unwrap_err();
    assert!(
        error
            .starts_with("Error from server (BadRequest): redis_stream_group_backlog has no label \"steam\""),
        "{error}"
    );

    // Whoever goes round the API server gets nothing.
    assert_eq!(Https::new(scene.adapter(), None).get(BACKLOG, &[("X-Remote-User", "admin")]).status, 401);

    let log = scene.cluster.api_server.stderr.lines();
    let complaints: Vec<_> = log
        .iter()
        .filter(|line| {
            line.starts_with(['E', 'W']) && (line.contains("metrics.k8s.io") || line.contains("streamgauge"))
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// `/apis` of the API server in the form that `kubectl` asks for.
fn discovery(scene: &Scene, accept: &str) -> Value {
    let kubeconfig = std::fs::read_to_string(scene.cluster.directory().join("admin.kubeconfig")).unwrap();
    let kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    let user = &kubeconfig["users"][0]["user"];
    let decoded = |key: &str| {
        let bytes: k8s_openapi::ByteString = serde_json::from_value(user[key].clone()).unwrap();
        String::from_utf8(bytes.0).unwrap()
    };
    let pair = crate::support::pki::Pair {
        certificate: decoded("client-certificate-data"),
        key: decoded("client-key-data"),
    };
    let url = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let client = Https::new(url.trim_start_matches("https://").parse().unwrap(), Some(&pair));
    client.get("/apis", &[("Accept", accept)]).json()
}
