//! The binary of the image, under what the chart renders: nothing but the files of the image and of the mounts, a root
//! that cannot be written, a user of no rights, and exactly the rendered arguments; only the ports are free ones.
//!
//! There is no container engine here. The kernel does the same for a mount namespace, `chroot` and `setpriv`; the
//! seccomp profile of the runtime is not tried.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    chart::render,
    objects::text,
    rendered::workload::{USER, Workload},
    support::{
        apiserver::ApiServer,
        http,
        https::Https,
        pki::Authority,
        process::Process,
        redis::{RedisServer, free_port},
        samples::Samples,
        tool::{lacks, needs},
        wait,
    },
    tools,
};

/// Where the Dockerfile puts it.
const PROGRAM: &str = "/usr/local/bin/streamgauge";
/// Where the Dockerfile puts Debian's CAs.
const CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes the root read-only and gives up all rights; then it is the program's process. Only what it takes to change
/// root and user is kept until then, and no new privileges keep it from coming back.
const CONTAINER: &str = r#"
mount --bind "$1" "$1"
mount --bind /proc "$1/proc"
mount -o remount,bind,ro "$1"
root=$1; shift
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid -- \
    chroot --userspec="$USER_ID:$USER_ID" --groups="$USER_ID" "$root" "$@"
"#;

/// A running container.
struct Container {
    process: Process,
    web: SocketAddr,
    adapter: SocketAddr,
    root: TempDir,
}

impl Container {
    /// Runs what these values render. `more` files are those of the cluster: by their paths in the container.
    fn start(values: &str, variables: &[(&str, &str)], more: &[(&str, &str)]) -> Container {
        let objects = render(values);
        let workload = Workload::find(&objects).unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let below = |path: &str| -> PathBuf {
            let path = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        fs::copy(tools::image_binary(), below(PROGRAM)).unwrap();
        fs::create_dir(below("/proc")).unwrap();
        let files = workload.files().unwrap();
        let files = files.iter().map(|(path, content)| (path.as_str(), content.as_str()));
        for (path, content) in files.chain(more.iter().copied()) {
            fs::write(below(path), content).unwrap();
        }

        let [web, adapter] = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let arguments = workload.arguments().into_iter().map(|argument| {
            argument.replace("=:9121", &format!("={web}")).replace("=:6443", &format!("={adapter}"))
        });
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "--", "sh", "-euc", CONTAINER, "sh"]);
        command.arg(root.path()).arg(PROGRAM).args(arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("USER_ID", USER.to_string());
        command.envs(workload.variables()).envs(variables.iter().copied());
        Container { process: Process::spawn(command), web, adapter, root }
    }

    /// Waits until a probe succeeds, as the kubelet asks for it.
    #[track_caller]
    fn until_probed(&mut self, probe: &Value) {
        let path = text(probe, "/httpGet/path").to_owned();
        wait::until(&format!("{path} to succeed"), || {
            let answer = match text(probe, "/httpGet/port") {
                "adapter" => Https::new(self.adapter, None).try_get(&path, &[]),
                _ => http::get(self.web, &path, &[]),
            };
            let ended = self.process.exit_status();
            assert!(ended.is_none(), "{ended:?}: {}", self.process.stderr.text());
            match answer {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{}\n{}", answer.text(), self.process.stderr.text())),
                Err(error) => Err(format!("{error}\n{}", self.process.stderr.text())),
            }
        });
    }

    #[track_caller]
    fn until_measured(&self, selector: &str, value: f64) {
        wait::until(selector, || {
            let answer = http::get(self.web, "/metrics", &[])?;
            let samples = Samples::parse(answer.text());
            if samples.value(selector) == Some(value) { Ok(()) } else { Err(self.process.stderr.text()) }
        });
    }

    /// A line of what the kernel says of the process.
    fn status(&self, key: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {key} in {status}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Whether the test can make a container: it takes root. Without, it is skipped for all to see, or fails where
/// everything is demanded.
fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    lacks("a container of one's own takes a process of root");
    false
}

fn probes(values: &str) -> [Value; 2] {
    let objects = render(values);
    let container = Workload::find(&objects).unwrap().container.clone();
    ["livenessProbe", "readinessProbe"].map(|probe| container[probe].clone())
}

#[test]
fn it_serves_everything_without_a_right() {
    needs!("redis-server", "unshare", "setpriv", "chroot");
    if !is_root() {
        return;
    }
    // The password is what the Secret of the set is made up of.
    let redis = RedisServer::with(&["--requirepass", "made-up"]);
    redis.run(&["XGROUP CREATE orders processing_group 0 MKSTREAM"]);
    redis.add("orders", 7);
    let cluster = ApiServer::start();
    let authority = Authority::new("front-proxy-ca");
    cluster.set_front_proxy(&[("requestheader-client-ca-file", &authority.certificate)]);
    let values = format!(
        "config: {{redis: [{{name: main, url: 'redis://redis.shop.svc:{}'}}]}}\n\
         credentials: [{{server: main, secretName: redis, passwordKey: password}}]",
        redis.address().port()
    );
    let mut container = Container::start(
        &values,
        &[("STREAMGAUGE_KUBERNETES_KUBECONFIG", "/etc/kubeconfig")],
        &[
            ("/etc/kubeconfig", &fs::read_to_string(cluster.kubeconfig()).unwrap()),
            ("/etc/hosts", "127.0.0.1 localhost redis.shop.svc\n"),
            (CAS, &Authority::new("public-ca").certificate),
        ],
    );
    for probe in probes(&values) {
        container.until_probed(&probe);
    }
    container.until_measured(r#"redis_stream_group_lag{group="processing_group"}"#, 7.0);

    let user = USER.to_string();
    assert_eq!(container.status("Uid"), [user.as_str(); 4].join(" "));
    assert_eq!(container.status("Gid"), [user.as_str(); 4].join(" "));
    assert_eq!(container.status("Groups"), user);
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(container.status(capabilities), "0000000000000000", "{capabilities}");
    }
    assert_eq!(container.status("NoNewPrivs"), "1");
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", container.process.id())).unwrap();
    let root: Vec<_> = mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/")).collect();
    assert!(
        !root.is_empty() && root.iter().all(|line| line.split(' ').nth(5).unwrap().starts_with("ro")),
        "{mounts}"
    );
    // It left nothing behind.
    let mut files = fs::read_dir(container.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(files.all(|name| name == "etc" || name == "usr" || name == "proc"));

    // An HPA is answered by way of the front proxy, with the rendered certificate.
    let client = Https::new(container.adapter, Some(&authority.client("front-proxy-client")));
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/redis_stream_group_backlog";
    let answer = client.get(path, &[("X-Remote-User", "system:kube-controller-manager")]);
    assert_eq!(
        (answer.status, answer.json()["items"][0]["value"].as_str()),
        (200, Some("7")),
        "{}",
        answer.text()
    );

    container.process.signal(rustix::process::Signal::TERM);
    assert!(container.process.wait().success(), "{}", container.process.stderr.text());
}

/// Of an image from scratch: there is no other system whose CAs could be meant.
#[test]
fn it_believes_the_cas_of_the_image() {
    needs!("redis-server", "unshare", "setpriv", "chroot");
    if !is_root() {
        return;
    }
    let (authority, directory, port) =
        (Authority::new("public-ca"), tempfile::tempdir().unwrap(), free_port());
    let (certificate, key) = authority.server("redis.example").write(directory.path());
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let _redis = RedisServer::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &at(&certificate),
        "--tls-key-file",
        &at(&key),
        "--tls-ca-cert-file",
        &at(&certificate),
        "--tls-auth-clients",
        "no",
    ]);
    let values = format!(
        "config: {{redis: [{{name: main, url: 'rediss://redis.example:{port}'}}]}}\nadapter: {{enabled: false}}"
    );
    let more = [("/etc/hosts", "127.0.0.1 redis.example\n"), (CAS, authority.certificate.as_str())];
    let mut container = Container::start(&values, &[], &more);
    for probe in probes(&values) {
        container.until_probed(&probe);
    }
    container.until_measured(r#"redis_up{redis="main"}"#, 1.0);
    // Without them it says what is missing.
    let container = Container::start(&values, &[], &more[..1]);
    wait::until("the log to name what is missing", || {
        let log = container.process.stderr.text();
        if log.contains("the system has no CA certificates") { Ok(()) } else { Err(log) }
    });
}

/// No loader and no library are asked for, and the image is as small as `docs/install.md` says.
#[test]
fn it_is_static_and_small() {
    let binary = fs::read(tools::image_binary()).unwrap();
    let number = |at: usize, size: usize| -> usize {
        binary[at..at + size].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(&binary[..5], b"\x7fELF\x02");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<_> = (0..count).map(|at| number(table + at * size, 4)).collect();
    const LOAD: usize = 1;
    const INTERPRETER: usize = 3;
    assert!(kinds.contains(&LOAD) && !kinds.contains(&INTERPRETER), "{kinds:?}");
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install.md")).unwrap();
    let told = document.split("at most ").find_map(|rest| rest.split_once(" MB")?.0.parse::<usize>().ok());
    let told = told.expect("docs/install.md says that the image has at most so many MB");
    assert!(binary.len() < told * 1_000_000, "{}", binary.len());
}
