//! Whom the API server vouches for.

use std::{collections::BTreeMap, sync::Arc};

use streamgauge::cluster::FrontProxy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber as _;

use super::Bench;
use crate::support::{apiserver::Failure, log::Log, wait};

const CA: &str = "requestheader-client-ca-file";
const NAMES: &str = "requestheader-allowed-names";
const USERS: &str = "requestheader-username-headers";
const GROUPS: &str = "requestheader-group-headers";

fn authority() -> String {
    rcgen::generate_simple_self_signed(["front-proxy-ca".to_owned()]).unwrap().cert.pem()
}

fn parsed(data: &[(&str, &str)]) -> Result<FrontProxy, String> {
    let data: BTreeMap<_, _> =
        data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    FrontProxy::from_data(&data).map_err(|error| error.to_string())
}

#[test]
fn the_config_map_is_read() {
    let ca = authority();
    let both = format!("{ca}{}", authority());
    // As kubeadm sets it up.
    let full = [
        (CA, both.as_str()),
        (NAMES, "[\"front-proxy-client\"]"),
        (USERS, "[\"X-Remote-User\",\"X-User\"]"),
        (GROUPS, "[\"X-Groups\"]"),
        ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
        ("client-ca-file", "of no concern"),
    ];
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        parsed(&full).unwrap(),
        FrontProxy {
            client_ca: both.clone(),
            allowed_names: words(&["front-proxy-client"]),
            username_headers: words(&["X-Remote-User", "X-User"]),
            group_headers: words(&["X-Groups"]),
        }
    );
    let plain = FrontProxy::new(ca.clone()).unwrap();
    assert_eq!(
        (&plain.username_headers, &plain.group_headers),
        (&words(&["X-Remote-User"]), &words(&["X-Remote-Group"]))
    );
    assert_eq!(plain.allowed_names, Vec::<String>::new());
    for (names, users, groups) in [("[]", "[]", "[]"), ("", "", " ")] {
        assert_eq!(parsed(&[(CA, &ca), (NAMES, names), (USERS, users), (GROUPS, groups)]).unwrap(), plain);
    }
    assert_eq!(parsed(&[(CA, &ca)]).unwrap(), plain);
}

#[test]
fn a_mistake_in_the_config_map_is_named() {
    let ca = authority();
    let broken = ca.replace("MII", "AAA");
    for (data, expected) in [
        (
            vec![],
            "requestheader-client-ca-file is missing: the API server has no --requestheader-client-ca-file",
        ),
        (vec![(CA, "")], "requestheader-client-ca-file holds no certificate"),
        (vec![(CA, "nonsense")], "requestheader-client-ca-file holds no certificate"),
        (vec![(CA, &ca[..ca.len() - 40])], "requestheader-client-ca-file is not PEM: "),
        (vec![(CA, &broken)], "requestheader-client-ca-file holds what is no certificate: "),
        (
            vec![(CA, &ca), (NAMES, "front-proxy")],
            "requestheader-allowed-names is no JSON array of strings: ",
        ),
        (vec![(CA, &ca), (NAMES, "[1]")], "requestheader-allowed-names is no JSON array of strings: "),
        (vec![(CA, &ca), (USERS, "{}")], "requestheader-username-headers is no JSON array of strings: "),
        (
            vec![(CA, &ca), (GROUPS, "[\"X Group\"]")],
            "requestheader-group-headers names \"X Group\", which is no header",
        ),
    ] {
        let said = parsed(&data).unwrap_err();
        assert!(said.starts_with(expected), "{said}");
    }
}

/// A follower, with its log.
struct Follower {
    bench: Bench,
    seen: watch::Receiver<Option<Arc<FrontProxy>>>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    log: Log,
}

impl Follower {
    fn start(bench: Bench) -> Follower {
        let (publish, seen) = watch::channel(None);
        let (cancel, log) = (CancellationToken::new(), Log::new());
        let following = bench.cluster.clone().follow_front_proxy(publish, cancel.clone());
        let task = bench.runtime.spawn(following.with_subscriber(log.subscriber()));
        Follower { bench, seen, cancel, task, log }
    }

    fn known(&self) -> Option<FrontProxy> {
        self.seen.borrow().as_deref().cloned()
    }

    #[track_caller]
    fn until(&self, client_ca: &str) {
        wait::until("the front proxy to be known", || match self.known() {
            Some(known) if known.client_ca == client_ca => Ok(()),
            known => Err(format!("{known:?}")),
        });
    }

    #[track_caller]
    fn until_logged(&self, message: &str, count: usize) {
        wait::until(message, || match self.log.lines(message) {
            lines if lines.len() == count => Ok(()),
            lines => Err(format!("{lines:?}")),
        });
    }
}

const FOLLOWED: &str = "/api/v1/namespaces/kube-system/configmaps";
const WRONG: &str = "front proxy is wrong: what is known of it stays";
const BROKEN: &str = "front proxy cannot be followed: what is known of it stays";

#[test]
fn the_front_proxy_is_followed_until_cancelled() {
    let bench = Bench::new();
    let (first, second) = (authority(), authority());
    bench.server.set_front_proxy(&[(CA, &first)]);
    let follower = Follower::start(bench);
    follower.until(&first);
    let server = &follower.bench.server;
    server.set_front_proxy(&[(CA, &second), (NAMES, "[\"front-proxy\"]")]);
    follower.until(&second);
    assert_eq!(follower.known().unwrap().allowed_names, ["front-proxy"]);
    follower.bench.until_watches(FOLLOWED, 1);
    server.close_watches();
    server.set_front_proxy(&[(CA, &first)]);
    follower.until(&first);

    // A Role that names the ConfigMap is enough.
    for request in server.requests("") {
        assert!(["list", "watch"].contains(&request.verb) && request.path == FOLLOWED, "{request:?}");
        assert_eq!(
            request.parameter("fieldSelector").as_deref(),
            Some("metadata.name=extension-apiserver-authentication")
        );
    }
    follower.cancel.cancel();
    follower.bench.runtime.block_on(follower.task).unwrap();
    follower.bench.until_watches("", 0);
}

#[test]
fn what_is_known_stays_while_the_config_map_is_wrong() {
    let bench = Bench::new();
    let (first, second) = (authority(), authority());
    bench.server.set_front_proxy(&[(CA, &first)]);
    let follower = Follower::start(bench);
    follower.until(&first);
    let server = &follower.bench.server;
    for label in ["1", "2"] {
        server.set_front_proxy(&[(CA, &first), (NAMES, "front-proxy"), ("changed", label)]);
    }
    follower.until_logged(WRONG, 1);
    let reason = follower.log.lines(WRONG)[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("requestheader-allowed-names is no JSON array of strings"), "{reason}");
    assert_eq!(follower.known(), Some(FrontProxy::new(first.clone()).unwrap()));
    server.delete_front_proxy();
    follower.until_logged(WRONG, 2);
    let reason = follower.log.lines(WRONG)[1]["reason"].clone();
    assert_eq!(reason, "there is no ConfigMap extension-apiserver-authentication in kube-system");
    assert_eq!(follower.known(), Some(FrontProxy::new(first).unwrap()));
    server.set_front_proxy(&[(CA, &second)]);
    follower.until(&second);
    follower.until_logged("front proxy is known", 2);
}

#[test]
fn what_is_known_stays_while_the_config_map_cannot_be_read() {
    let bench = Bench::new();
    let (first, second) = (authority(), authority());
    bench.server.set_front_proxy(&[(CA, &first)]);
    let follower = Follower::start(bench);
    follower.until(&first);
    let server = &follower.bench.server;
    follower.bench.until_watches("", 1);
    server.fail("/configmaps", Failure::Status(403));
    server.close_watches();
    server.set_front_proxy(&[(CA, &second)]);
    let attempts = server.requests("watch ").len();
    wait::until_true("three attempts", || server.requests("watch ").len() >= attempts + 3);
    assert_eq!(follower.known(), Some(FrontProxy::new(first).unwrap()));
    let warned = follower.log.lines(BROKEN);
    assert_eq!(warned.len(), 1, "{warned:?}");
    let reason = warned[0]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("(bind the Role extension-apiserver-authentication-reader of kube-system)"),
        "{reason}"
    );
    server.mend();
    follower.until(&second);
    follower.until_logged("front proxy can be followed again", 1);
}

/// Where it was never known it is told so, and waited for.
#[test]
fn a_front_proxy_that_comes_later_is_known_then() {
    let follower = Follower::start(Bench::new());
    follower.until_logged(WRONG, 1);
    assert_eq!(follower.known(), None);
    let ca = authority();
    follower.bench.server.set_front_proxy(&[(CA, &ca)]);
    follower.until(&ca);
}
