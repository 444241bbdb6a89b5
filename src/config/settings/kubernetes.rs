//! The rows of the Kubernetes metrics adapter.

use super::{
    BLANK, Form, Kind, Setting,
    general::{BOUNDED, MISSING_GROUP},
};

/// What the name of a metric of the user's own looks like: it stands in the path of a URL, and in a HorizontalPodAutoscaler.
pub const METRIC_NAME: Form = Form {
    pattern: "^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$",
    words: "letters, digits, \".\", \"_\" and \"-\", at most 253, with a letter or digit at both ends",
};

/// A kind of objects, as `kubectl` names it.
const RESOURCE: Form = Form {
    pattern: "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$",
    words: "a resource in the plural with its API group, as services or deployments.apps",
};

/// A namespace: a DNS label.
pub const NAMESPACE: Form = Form {
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    words: "the name of a namespace (lower-case letters, digits and \"-\")",
};

/// An object: a DNS subdomain.
const OBJECT: Form = Form {
    pattern: "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
    words: "the name of one object (lower-case letters, digits, \".\" and \"-\")",
};

/// The rows, in the order in which they are shown.
pub static ROWS: &[Setting] = &[
    Setting {
        path: "kubernetes.listen_address",
        kind: Kind::List,
        flag: Some("kubernetes.listen-address"),
        restart: true,
        example: ":6443",
        help: "Addresses on which to serve the metrics APIs of Kubernetes, over TLS, as host:port; without a host on all of them. Without this setting they are not served.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.tls_cert_file",
        kind: Kind::File,
        flag: Some("kubernetes.tls-cert-file"),
        restart: true,
        example: "/etc/streamgauge/tls/tls.crt",
        help: "File that holds the certificate to serve with and those between it and its CA, in PEM; read anew when it changes. Without it and its key, a self-signed certificate is made at the start and kept in memory.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.tls_private_key_file",
        kind: Kind::File,
        flag: Some("kubernetes.tls-private-key-file"),
        restart: true,
        example: "/etc/streamgauge/tls/tls.key",
        help: "File that holds the private key of the certificate, in PEM; read anew when it changes.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.requestheader_client_ca_file",
        kind: Kind::File,
        flag: Some("kubernetes.requestheader-client-ca-file"),
        restart: true,
        example: "/etc/streamgauge/front-proxy-ca.crt",
        help: "File that holds the CA of the API server's front proxy, in PEM, for use outside a cluster: who comes with a certificate of this CA is believed, nobody else. Without it, the ConfigMap kube-system/extension-apiserver-authentication is read and followed.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.requestheader_allowed_names",
        kind: Kind::List,
        flag: Some("kubernetes.requestheader-allowed-names"),
        restart: true,
        example: "front-proxy-client",
        help: "Common names that a certificate of the front proxy may have; without any, all. Goes with kubernetes.requestheader_client_ca_file only: the ConfigMap has names of its own.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.kubeconfig",
        kind: Kind::File,
        flag: Some("kubernetes.kubeconfig"),
        restart: true,
        example: "/etc/streamgauge/kubeconfig",
        help: "File that says how to reach the API server. Without it, the service account of the pod does.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.metric",
        kind: Kind::Metric,
        required: true,
        example: "redis_stream_group_backlog",
        help: "The metric of streamgauge that it is; one that autoscalers may read, as metrics.md says.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.redis",
        example: "main",
        help: "Name of the server whose series are meant; without it, all servers.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.stream",
        example: "orders",
        help: "Streams whose series are meant: a name or a glob; without it, all.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.group",
        example: "processing_group",
        help: "Groups whose series are meant: a name or a glob; without it, all. Not for a metric of streams.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.namespaces",
        kind: Kind::List,
        default: Some("*"),
        example: "shop",
        help: "Namespaces that may read it: names and globs.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.bounded",
        kind: Kind::Choice(BOUNDED),
        example: "upper",
        help: "What to answer where a lag is only known to lie between two bounds, in place of what lag.bounded says; with absent, an error, on which autoscalers hold.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.metrics{}.missing_group",
        kind: Kind::Choice(MISSING_GROUP),
        example: "zero",
        help: "What to answer as the lag of an expected group that does not exist while its stream does, in place of what lag.missing_group says; with absent, an error, on which autoscalers hold.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.objects[].resource",
        kind: Kind::Form(&RESOURCE),
        required: true,
        example: "deployments.apps",
        help: "Resource of the object, in the plural and with its API group.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.objects[].namespace",
        kind: Kind::Form(&NAMESPACE),
        example: "shop",
        help: "Namespace of the object; to be left out where it has none, as a namespace itself.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.objects[].name",
        kind: Kind::Form(&OBJECT),
        required: true,
        example: "order-worker",
        help: "Name of the object.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.objects[].redis",
        example: "main",
        help: "Name of the server whose series are meant; without it, all servers.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.objects[].stream",
        required: true,
        example: "orders",
        help: "Streams whose series are meant: a name or a glob.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.objects[].group",
        example: "processing_group",
        help: "Groups whose series are meant: a name or a glob; without it, all.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.streams[].redis",
        example: "main",
        help: "Name of the server whose streams are meant; without it, all servers.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.streams[].stream",
        required: true,
        example: "payments:*",
        help: "Streams that are meant: a name or a glob.",
        ..BLANK
    },
    Setting {
        path: "kubernetes.streams[].namespaces",
        kind: Kind::List,
        required: true,
        example: "payments",
        help: "Namespaces that may read them: names and globs.",
        ..BLANK
    },
];
