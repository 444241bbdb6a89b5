//! The program, started with the arguments and the files of the base, with credentials. With the adapter it needs an API
//! server: `tests/kubernetes` starts it there.

use std::fs;

use serde_json::json;

use super::Folder;
use crate::{
    rendered::workload::{Workload, below},
    support::{exporter::Launch, redis::RedisServer, tool::needs},
};

#[test]
fn the_program_runs_with_what_is_rendered() {
    needs!("redis-server");
    let redis = RedisServer::with(&["--requirepass", "made-up"]);
    let config = "redis: [{name: main, url: 'redis://redis:6379', \
        username_file: /etc/streamgauge/secrets/main/username, password_file: /etc/streamgauge/secrets/main/password}]";
    let generator = json!({"configMapGenerator": [{"name": "streamgauge", "behavior": "replace", "files": ["streamgauge.yaml"]}]});
    let folder = Folder::composed(&["redis-credentials"], &generator, "streamgauge");
    let objects = folder.write("streamgauge.yaml", config).build();
    let root = tempfile::tempdir().unwrap();
    let laid = Workload::find(&objects).unwrap().lay(root.path()).unwrap();
    // What the Secret would have, and where Redis is here.
    fs::write(below(root.path(), "/etc/streamgauge/secrets/main/username"), "default").unwrap();
    fs::write(below(root.path(), "/etc/streamgauge/secrets/main/password"), "made-up").unwrap();
    let file = below(root.path(), "/etc/streamgauge/config/streamgauge.yaml");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("redis://redis:6379"), "{written}");
    let here = format!("redis://{}", redis.address());
    fs::write(&file, written.replace("redis://redis:6379", &here)).unwrap();

    let [subcommand, arguments @ ..] = &laid.arguments[..] else { panic!("no arguments") };
    assert!(arguments.iter().any(|argument| argument == "--web.listen-address=:9121"));
    let arguments: Vec<_> =
        arguments.iter().map(|argument| argument.replace("=:9121", "=127.0.0.1:0")).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let gauge = Launch::new(subcommand).args(&arguments).start();
    gauge.wait_ready();
    gauge.until("redis_up{redis=\"main\"}", Some(1.0));
}
