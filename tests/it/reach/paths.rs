//! Unix sockets, and who one is: usernames in files.

use tempfile::TempDir;

use super::{fill, measures, refusal};
use crate::support::{
    exporter::{Launch, Streamgauge},
    redis::RedisServer,
    tool::needs,
};

#[test]
fn a_unix_socket() {
    needs!("redis-server");
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let redis = RedisServer::with(&["--unixsocket", socket]);
    fill(&redis);
    redis.run_on(3, &["XADD orders * a b", "XGROUP CREATE orders workers 0"]);
    measures(&format!("redis+unix://{socket}"), &[]);
    let gauge = Streamgauge::of(&format!("unix://{socket}?db=3&protocol=resp3"), &[]);
    gauge.metrics().check(&[(r#"redis_stream_group_lag{db="db3",stream="orders"}"#, Some(1.0))]);

    // Without a name of its own, the path is the label.
    let url = format!("unix://{socket}");
    let output = Launch::new("groups").args(&["--redis.url", &url, "--output", "json"]).output();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["servers"][0]["redis"], socket, "{said}");

    let missing = format!("{socket}.none");
    assert_eq!(
        refusal(&format!("unix://{missing}"), &[], "connect"),
        format!("cannot connect to {missing}: No such file or directory (os error 2)")
    );
}

/// On the terminal, an address that is the name of the server is said once, and no headings promise a table.
#[test]
fn nobody_there() {
    let output = Launch::new("groups").args(&["--redis.url", "redis://127.0.0.1:1"]).output();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let expected = "streamgauge: cannot connect to 127.0.0.1:1: Connection refused (os error 111)\n";
    assert_eq!((output.status.code(), said), (Some(1), [String::new(), expected.to_owned()]));
}

#[test]
fn a_username_in_a_file() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    redis.run(&["ACL SETUSER gauge on >horse ~* +@all"]);
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (user, password) = (file("user", "gauge\n"), file("password", "horse\n"));
    let arguments = ["--redis.username-file", &user, "--redis.password-file", &password];
    measures(&redis.url(), &arguments);
    file("user", "nobody");
    let said = refusal(&redis.url(), &arguments, "auth");
    assert!(
        said.starts_with("cannot log in to 127.0.0.1:")
            && said.contains(": check the username and the password"),
        "{said}"
    );
    std::fs::write(&user, [0xff]).unwrap();
    let output = Launch::new("serve").args(&["--redis.url", &redis.url()]).args(&arguments).output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("--redis.username-file: cannot read {user}")), "{said}");
}
