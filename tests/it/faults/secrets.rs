//! The password, right or wrong, is nowhere to be read.

use std::fs;

use crate::support::{exporter::Launch, redis::RedisServer, tool::needs};

/// Safe in a URL as it is, and in nothing else by chance.
const PASSWORD: &str = "correct-horse-battery";

#[test]
fn the_password_is_shown_nowhere() {
    needs!("redis-server");
    for (server_password, up) in [(PASSWORD, 1.0), ("another", 0.0)] {
        let redis = RedisServer::with(&["--requirepass", server_password]);
        let with_password = redis.url().replace("redis://", &format!("redis://default:{PASSWORD}@"));
        let directory = tempfile::tempdir().unwrap();
        let (secret, yaml) = (directory.path().join("secret"), directory.path().join("config.yaml"));
        fs::write(&secret, PASSWORD).unwrap();
        fs::write(&yaml, format!("redis: [{{url: '{}', password: {PASSWORD}}}]\n", redis.url())).unwrap();
        let (secret, yaml) = (secret.to_str().unwrap(), yaml.to_str().unwrap());

        let url = redis.url();
        let ways = [
            (&[][..], &[("STREAMGAUGE_REDIS_URL", with_password.as_str())][..]),
            (&["--redis.url", &url], &[("STREAMGAUGE_REDIS_PASSWORD", PASSWORD)]),
            (&["--redis.url", &url], &[("REDIS_PASSWORD", PASSWORD)]),
            (&["--redis.url", &url, "--redis.password-file", secret], &[]),
            (&["--config.file", yaml], &[]),
        ];
        for (arguments, variables) in ways {
            let launch = Launch::new("serve").args(arguments).args(&["--log.level", "trace"]);
            let gauge =
                variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).start();
            gauge.wait_ready();
            let metrics = gauge.metrics();
            assert_eq!(metrics.value("redis_up"), Some(up), "{arguments:?} {}", gauge.process.stderr.text());

            let mut said = vec![gauge.process.stderr.text(), gauge.process.stdout.text()];
            said.push(fs::read_to_string(format!("/proc/{}/cmdline", gauge.process.id())).unwrap());
            for path in ["/metrics", "/", "/api/v1/groups", "/readyz"] {
                said.push(gauge.get(path, &[]).text().to_owned());
            }
            let launch = Launch::new("groups").args(arguments);
            let output =
                variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).output();
            said.push(String::from_utf8([output.stdout, output.stderr].concat()).unwrap());
            for text in said {
                assert!(!text.contains(PASSWORD), "{arguments:?} {variables:?}: {text}");
            }
        }
    }
}

/// A password on the command line is refused, without being repeated.
#[test]
fn a_password_on_the_command_line_is_refused() {
    let url = format!("redis://default:{PASSWORD}@127.0.0.1:1");
    let output = Launch::new("serve").args(&["--redis.url", &url]).output();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("--redis.url") && !said.contains(PASSWORD), "{said}");
}
