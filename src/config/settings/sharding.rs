//! The rows of sharding: which of the streams this process measures where several share them.

use super::{BLANK, Form, Kind, NAMESPACE, Setting};

/// A pod of a StatefulSet: the name of the set, and the number of the pod.
pub const POD: Form = Form {
    pattern: "^[a-z0-9]([a-z0-9.-]{0,241}[a-z0-9])?-(0|[1-9][0-9]{0,8})$",
    words: "the name of a pod of a StatefulSet, as streamgauge-0",
};

/// The rows, in the order in which they are shown.
pub static ROWS: &[Setting] = &[
    Setting {
        path: "sharding.shard",
        kind: Kind::Count(0, 65_535),
        flag: Some("shard"),
        restart: true,
        example: "0",
        help: "Number of this process, from 0, among several that share the streams: it measures those that belong to it. high-availability.md says when that is of use.",
        ..BLANK
    },
    Setting {
        path: "sharding.total_shards",
        kind: Kind::Count(1, 65_536),
        flag: Some("total-shards"),
        restart: true,
        example: "3",
        help: "Number of processes that share the streams. It must be the same for all of them, and so must the names of the servers.",
        ..BLANK
    },
    Setting {
        path: "sharding.pod",
        kind: Kind::Form(&POD),
        flag: Some("pod"),
        restart: true,
        // Beside a fixed share it is a mistake.
        example: "",
        help: "In place of sharding.shard and sharding.total_shards, the name of the pod that this is, one of a StatefulSet: its number is the shard, and the replicas of the StatefulSet are the total, which is followed.",
        ..BLANK
    },
    Setting {
        path: "sharding.pod_namespace",
        kind: Kind::Form(&NAMESPACE),
        flag: Some("pod-namespace"),
        restart: true,
        example: "",
        help: "Namespace of the pod that sharding.pod names.",
        ..BLANK
    },
    Setting {
        path: "sharding.guest_streams",
        kind: Kind::Count(1, 10_000),
        default: Some("100"),
        flag: Some("sharding.guest-streams"),
        restart: true,
        example: "100",
        help: "Most streams of other shards to measure, in each database of a server, since the Kubernetes adapter is asked for them: by name, or all that a glob or a selector without a stream means. What nobody has asked for in 10 minutes is measured no more. Whoever asks for more is told so, and never a part.",
        ..BLANK
    },
];
