//! The HorizontalPodAutoscaler of Kubernetes itself, with the HPAs that `docs/kubernetes.md` shows.

use crate::scene::Scene;

#[test]
fn a_backlog_scales_a_deployment_to_zero_and_back_and_holds_on_ignorance() {
    let mut scene = Scene::start();
    scene.redis.add("orders", 950);
    scene.gauge.poll();
    scene.deploy("order-processor", 2, "");
    scene.apply_hpa_of("averageValue: \"100\"", |hpa| hpa.replace("minReplicas: 2", "minReplicas: 0"));
    scene.until_replicas("order-processor", 10);

    // Drained: everything delivered and acknowledged.
    let ids: Vec<String> = {
        scene.redis.run(&["XREADGROUP GROUP processing_group w COUNT 950 STREAMS orders >"]);
        let entries: Vec<(String, Vec<String>)> = scene.redis.ask(&["XRANGE", "orders", "-", "+"]);
        entries.into_iter().map(|(id, _)| id).collect()
    };
    for ids in ids[..600].chunks(100) {
        scene.redis.run(&[&format!("XACK orders processing_group {}", ids.join(" "))]);
    }
    scene.until_replicas("order-processor", 4);

    // Redis is gone in the middle of it: the HPA says why, and holds.
    scene.redis.kill();
    scene.until("the HPA to say why", || {
        let (status, message) = scene.condition("ScalingActive");
        let says = message.contains("redis \"main\" cannot be polled");
        if status == "False" && says { Ok(()) } else { Err(format!("{status}: {message}")) }
    });
    assert_eq!(scene.replicas("order-processor"), 4);
    // It comes back without its data: still nothing says that there is no work.
    scene.redis.restart(&[]);
    scene.gauge.until("redis_up", Some(1.0));
    scene.until("the HPA to say that nothing matches", || {
        let (status, message) = scene.condition("ScalingActive");
        let says = message.contains("no group matches redis_stream_group_backlog");
        if status == "False" && says { Ok(()) } else { Err(format!("{status}: {message}")) }
    });
    assert_eq!(scene.replicas("order-processor"), 4);

    scene.redis.run(&["XGROUP CREATE orders processing_group $ MKSTREAM"]);
    scene.until_replicas("order-processor", 0);
    // One entry wakes one worker.
    scene.redis.add("orders", 1);
    scene.until_replicas("order-processor", 1);
}

/// The HPA of the well-known guide, to the letter, and pods whose names are those of the consumers.
#[test]
fn the_hpa_of_the_guide_works_as_written() {
    let scene = Scene::start();
    scene.deploy("order-processor", 2, "");
    let pods = scene.running_pods("order-processor", 2);
    scene.redis.add("orders", 700);
    for (pod, count) in pods.iter().zip([400, 300]) {
        scene
            .redis
            .run(&[&format!("XREADGROUP GROUP processing_group {pod} COUNT {count} STREAMS orders >")]);
    }
    scene.gauge.poll();
    scene.apply_hpa_of("redis_stream_pending_messages", |hpa| hpa);
    // 350 each of two, where 100 each are wanted: seven.
    scene.until_replicas("order-processor", 7);
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/redis_stream_pending_messages?labelSelector=app%3Dorder-processor";
    let list = scene.raw(path).unwrap();
    let mut values: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["value"].as_str().unwrap().to_owned())
        .collect();
    values.sort_by_key(|value| value.parse::<u64>().unwrap());
    assert_eq!(values, ["0", "0", "0", "0", "0", "300", "400"]);

    // No pod runs on a namespace where streamgauge may not look.
    let error = scene.raw(&path.replace("/shop/", "/default/")).unwrap_err();
    assert!(
        error.contains("ServiceUnavailable") && error.contains("default") && error.contains("pods"),
        "{error}"
    );
}

/// An object that says by its annotations what it stands for, and an HPA that names it.
#[test]
fn an_annotated_object_scales_by_its_groups() {
    let scene = Scene::start();
    scene.redis.add("orders", 500);
    scene.gauge.poll();
    scene.deploy(
        "order-processor",
        1,
        "streamgauge.io/stream: orders, streamgauge.io/group: processing_group",
    );
    scene.cluster.apply(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: order-processor, namespace: shop}, spec: {
          scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: order-processor}, minReplicas: 1, maxReplicas: 20,
          metrics: [{type: Object, object: {describedObject: {apiVersion: apps/v1, kind: Deployment, name: order-processor},
            metric: {name: redis_stream_group_backlog}, target: {type: AverageValue, averageValue: '100'}}}]}}",
    );
    scene.until_replicas("order-processor", 5);
}
