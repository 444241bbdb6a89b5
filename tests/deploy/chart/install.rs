//! `docs/install.md`: its Helm path is what the chart takes, and does what the document says.

use std::fs;

use streamgauge::config::Credential;

use super::{CHART, render};
use crate::{
    objects::{find, list, parse, text},
    rendered::{self, workload::Workload},
    support::document::{document, yaml},
    tools,
};

/// The part from one heading to the next of its rank.
fn section(heading: &str) -> String {
    let document = document("docs/install.md");
    let (_, rest) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

fn block(first: &str) -> String {
    let found = yaml(&section("With Helm")).into_iter().find(|block| block.starts_with(first));
    found.unwrap_or_else(|| panic!("no block begins with {first}"))
}

#[test]
fn its_values_are_sound() {
    let objects = render(&block("# values.yaml\n"));
    rendered::check(&objects);
    let workload = Workload::find(&objects).unwrap();
    let [server] = &workload.config().unwrap().servers[..] else { panic!("not one server") };
    for credential in [&server.username, &server.password] {
        assert!(matches!(credential, Some(Credential::File(_))), "{server:?}");
    }
    // The HPA asks for the group that is measured.
    let hpa = parse(&block("# hpa.yaml\n")).remove(0);
    assert_eq!(rendered::metrics::problems(std::slice::from_ref(&hpa)), [""; 0]);
    assert_eq!(crate::typed::check(&hpa), Ok(()));
    let labels = &hpa["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"];
    let config = text(find(&objects, "ConfigMap", "streamgauge"), "/data/streamgauge.yaml").to_owned();
    let config = parse(&config).remove(0);
    let of_server = &config["redis"][0];
    assert_eq!(of_server["name"], labels["redis"]);
    assert_eq!(of_server["streams"][0], labels["stream"]);
    let expected = format!("{}={}", text(labels, "/stream"), text(labels, "/group"));
    assert_eq!(of_server["groups"]["expect"][0], expected);
    // The Secret that it makes has the keys that the values name.
    let secret = list(workload.pod, "/volumes")
        .iter()
        .find_map(|volume| volume.get("secret").filter(|secret| secret["secretName"] == "redis"));
    let keys: Vec<_> =
        list(secret.unwrap(), "/items").iter().map(|item| text(item, "/key").to_owned()).collect();
    let made = section("With Helm");
    let made = made.lines().find(|line| line.starts_with("kubectl create secret generic redis ")).unwrap();
    for key in keys {
        assert!(made.contains(&format!("={key}=")), "{key}: {made}");
    }
}

/// Each command of helm's is one that helm takes: its flags, and the chart's folder.
#[test]
fn its_commands_are_helms() {
    let home = tempfile::tempdir().unwrap();
    let document = document("docs/install.md");
    let commands: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("helm ")).collect();
    let names: Vec<_> = commands.iter().map(|command| command.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["install", "test", "upgrade", "uninstall"]);
    for command in commands {
        let mut words = command.split(' ');
        let mut help = tools::helm(home.path());
        help.args([words.next().unwrap(), "--help"]);
        let help = tools::output(help).unwrap();
        for word in words.filter(|word| !word.is_empty()) {
            if let Some(flag) = word.strip_prefix("--") {
                let flag = flag.split('=').next().unwrap();
                assert!(
                    help.contains(&format!("--{flag} ")) || help.contains(&format!("--{flag}\n")),
                    "{command}: --{flag}"
                );
            }
            assert!(!word.starts_with("deploy/") || word == CHART, "{command}");
        }
    }
}

/// What the table of the other values names is there.
#[test]
fn its_values_exist() {
    let values = fs::read_to_string(format!("{}/{CHART}/values.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let values = parse(&values).remove(0);
    let mut seen = 0;
    for code in section("With Helm").split('`').skip(1).step_by(2) {
        let path = code.split([':', '[']).next().unwrap();
        let group = path.split('.').next().unwrap();
        if path.contains('.') && values.get(group).is_some() && group != "config" {
            assert!(values.pointer(&format!("/{}", path.replace('.', "/"))).is_some(), "{code}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}
