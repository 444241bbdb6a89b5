//! The manifests of `deploy/examples/order-processor`, applied as they are: the guide's HPA scales its workers by what the
//! pods hold, and the better one by the backlog, to zero too.

use crate::{scene::Scene, support::document::document};

/// Applies the manifests of a file, in the namespace shop.
#[track_caller]
fn apply(scene: &Scene, file: &str) {
    for manifest in document(&format!("deploy/examples/order-processor/{file}")).split("\n---\n") {
        assert_eq!(manifest.matches("\nmetadata:\n").count(), 1, "{manifest}");
        scene.cluster.apply(&manifest.replacen("\nmetadata:\n", "\nmetadata:\n  namespace: shop\n", 1));
    }
}

#[test]
fn the_autoscalers_of_the_example_scale_its_workers() {
    let scene = Scene::start();
    for file in ["redis.yaml", "workers.yaml", "producer.yaml", "redis-exporter.yaml"] {
        apply(&scene, file);
    }
    // A Deployment that names no number of replicas has one.
    scene.running_pods("order-processor", 1);
    apply(&scene, "hpa-guide.yaml");
    scene.until_replicas("order-processor", 2);

    // What the pods hold, as consumers of their names: 150 each, where 100 each are wanted.
    let pods = scene.running_pods("order-processor", 2);
    scene.redis.add("orders", 450);
    for pod in &pods {
        scene.redis.run(&[&format!("XREADGROUP GROUP processing_group {pod} COUNT 150 STREAMS orders >")]);
    }
    scene.until_replicas("order-processor", 3);

    // The better one takes its place, and sees what waits too: 300 pending, 150 that nobody has taken.
    apply(&scene, "hpa.yaml");
    scene.until_replicas("order-processor", 5);
    let hpas = scene.cluster.object(&["hpa", "--namespace=shop"]);
    assert_eq!(hpas["items"].as_array().unwrap().len(), 1, "{hpas}");

    // The last one, down to zero; here at once, and not after the five minutes for which it waits.
    scene.redis.run(&["DEL orders", "XGROUP CREATE orders processing_group $ MKSTREAM"]);
    apply(&scene, "hpa-zero.yaml");
    let at_once = "{\"spec\":{\"behavior\":{\"scaleDown\":{\"stabilizationWindowSeconds\":0,\
                   \"policies\":[{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]}}}}";
    scene.cluster.kubectl(&[
        "patch",
        "hpa",
        "order-processor",
        "--namespace=shop",
        "--type=merge",
        "--patch",
        at_once,
    ]);
    scene.until_replicas("order-processor", 0);
    scene.redis.add("orders", 1);
    scene.until_replicas("order-processor", 1);
}
