//! Users of clusters: the documented rights are enough on every node, and each of those that only clusters need is needed.

use streamgauge::collect::commands::{COMMANDS, Command, Feature, Servers};

use super::{CLUSTER_SETS, Set, USER, refusals, servers_of, set_user, sufficient::measured};
use crate::{
    servers,
    support::{
        cluster::{CALM, Cluster},
        exporter::Streamgauge,
        samples::Samples,
        tool::needs,
        wait,
    },
};

/// What is sent to the nodes of clusters only.
const OF_CLUSTERS: [Feature; 2] = [Feature::Cluster, Feature::ClusterReplicas];

/// `orders` and `events:eu` are on different nodes; the latter is on its way to a third.
fn cluster(version: &servers::Version) -> Cluster {
    let cluster = Cluster::with(&version.binary, 3, 1, CALM);
    for stream in ["orders", "events:eu", "secret"] {
        cluster.fill(stream, 9);
        let read = format!("XREADGROUP GROUP workers alice COUNT 1 STREAMS {stream} >");
        cluster.node_of(stream).run(&[&read]);
    }
    let (slot, from) = (cluster.slot("events:eu"), cluster.place_of("events:eu"));
    let to = (0..3).find(|place| *place != from && *place != cluster.place_of("orders")).unwrap();
    cluster.begin_move(slot, from, to);
    cluster.move_key("events:eu", from, to);
    wait::until_true("the replicas to have everything", || {
        let size = |place: usize| cluster.nodes[place].ask::<u64>(&["DBSIZE"]);
        (3..6).all(|place| size(place) == size(place - 3))
    });
    cluster
}

fn with_user(cluster: &Cluster, set: &Set, rights: &[String], user: &str) -> Streamgauge {
    for node in &cluster.nodes {
        node.run(&[&set_user(user, rights), "ACL LOG RESET"]);
    }
    set.gauge(&cluster.nodes[0], user)
}

fn all_refusals(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().flat_map(|node| refusals(node, USER)).collect()
}

fn check(cluster: &Cluster, set: &Set, servers: Servers) {
    let all = with_user(cluster, set, &["~*".to_owned(), "+@all".to_owned()], "all");
    let narrow = with_user(cluster, set, &set.rights(servers), USER);
    let (all, metrics): (Samples, Samples) = (all.poll(), narrow.poll());
    assert_eq!(measured(&metrics), measured(&all), "{}", set.title);
    metrics.check(&[
        ("redis_up", Some(1.0)),
        (r#"redis_stream_length{stream="orders"}"#, Some(9.0)),
        (r#"redis_stream_length{stream="events:eu"}"#, Some(9.0)),
        (r#"redis_stream_group_oldest_pending_deliveries{stream="events:eu",group="workers"}"#, Some(1.0)),
    ]);
    let checked = set.check(&cluster.nodes[0], USER);
    assert_eq!(checked.code, 0, "{}: {}", set.title, checked.text);
    assert_eq!(all_refusals(cluster), [""; 0], "{}", set.title);
}

fn without(cluster: &Cluster, set: &Set, servers: Servers, command: &Command) {
    let rule = command.rule();
    let rights: Vec<_> = set.rights(servers).into_iter().filter(|right| *right != rule).collect();
    let gauge = with_user(cluster, set, &rights, USER);
    let metrics = gauge.metrics();
    let word = rule.trim_start_matches('+').split('|').next().unwrap();
    let refused = all_refusals(cluster);
    assert!(refused.iter().any(|object| object.split('|').next() == Some(word)), "{rule}: {refused:?}");
    // What is on its way cannot be had without ASKING, and nothing at all without the others.
    let is_asking = command.words == "ASKING";
    metrics.check(&[
        ("redis_up", Some(f64::from(is_asking))),
        (r#"redis_stream_length{stream="orders"}"#, is_asking.then_some(9.0)),
        (r#"redis_stream_length{stream="events:eu"}"#, None),
    ]);
    let said = gauge.groups().to_string();
    assert!(said.contains(&format!(": grant {rule} (docs/redis-acl.md)")), "{rule}: {said}");
    assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="noperm"}"#) > Some(0.0), "{rule}");
}

#[test]
fn users_of_clusters() {
    needs!("redis-server");
    for version in servers::versions() {
        let cluster = cluster(&version);
        let servers = servers_of(&cluster.nodes[0]);
        CLUSTER_SETS.iter().for_each(|set| check(&cluster, set, servers));
        for command in COMMANDS.iter().filter(|command| OF_CLUSTERS.contains(&command.feature)) {
            let set = CLUSTER_SETS.iter().find(|set| set.features.contains(&command.feature)).unwrap();
            without(&cluster, set, servers, command);
        }
    }
}
