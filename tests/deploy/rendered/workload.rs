//! The workload that runs the program: its arguments, variables and files, as the program takes them.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use streamgauge::{
    cli,
    config::{self, Config, Sharding, settings},
};

use crate::{
    objects::{list, name, of_kind, text, title},
    rendered::references::workloads,
    support::pki::Authority,
};

/// Whom the image runs as.
pub const USER: u64 = 65532;

/// A workload with a container `streamgauge`.
pub struct Workload<'a> {
    objects: &'a [Value],
    pub object: &'a Value,
    pub pod: &'a Value,
    pub container: &'a Value,
}

/// The program's arguments, with its files below a folder of the test.
pub struct Laid {
    pub arguments: Vec<String>,
    pub variables: BTreeMap<String, String>,
}

impl<'a> Workload<'a> {
    pub fn find(objects: &'a [Value]) -> Result<Workload<'a>, String> {
        let mut found = workloads(objects).into_iter().filter_map(|object| {
            let pod = &object["spec"]["template"]["spec"];
            let container = list(pod, "/containers").iter().find(|one| one["name"] == "streamgauge")?;
            Some(Workload { objects, object, pod, container })
        });
        match (found.next(), found.next()) {
            (Some(workload), None) => Ok(workload),
            (None, _) => Err("no workload has a container streamgauge".into()),
            (Some(a), Some(b)) => {
                Err(format!("{} and {} have a container streamgauge", title(a.object), title(b.object)))
            }
        }
    }

    /// As the container is given them, with variables in them replaced.
    pub fn arguments(&self) -> Vec<String> {
        let variables = self.variables();
        let given = |argument: &str| {
            variables
                .iter()
                .fold(argument.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
        };
        list(self.container, "/args").iter().filter_map(Value::as_str).map(given).collect()
    }

    pub fn variables(&self) -> BTreeMap<String, String> {
        let pairs = list(self.container, "/env").iter();
        let value = |pair: &Value| match pair.pointer("/valueFrom/fieldRef/fieldPath") {
            // Those of the first pod of a StatefulSet.
            Some(path) if path == "metadata.name" => format!("{}-0", name(self.object)),
            Some(path) if path == "metadata.namespace" => text(self.object, "/metadata/namespace").to_owned(),
            _ => text(pair, "/value").to_owned(),
        };
        pairs.map(|pair| (text(pair, "/name").to_owned(), value(pair))).collect()
    }

    /// The files of the container by their paths. The content of a Secret that is not in the set is made up, as far as
    /// the arguments and the other files name its files.
    pub fn files(&self) -> Result<BTreeMap<String, String>, String> {
        let (mut files, mut secrets) = (BTreeMap::new(), Vec::new());
        for mount in list(self.container, "/volumeMounts") {
            let (volume, path) = (text(mount, "/name"), text(mount, "/mountPath"));
            let found = list(self.pod, "/volumes").iter().find(|candidate| candidate["name"] == volume);
            let found = found.ok_or_else(|| format!("there is no volume {volume} for {path}"))?;
            let (kind, called) = match (&found["configMap"], &found["secret"]) {
                (Value::Object(_), _) => ("ConfigMap", text(found, "/configMap/name")),
                (_, Value::Object(_)) => ("Secret", text(found, "/secret/secretName")),
                // An empty directory, or one of the user's own.
                _ => continue,
            };
            let object = of_kind(self.objects, kind).into_iter().find(|object| name(object) == called);
            match (kind, object) {
                (_, Some(object)) => {
                    for (key, value) in content(object) {
                        files.insert(format!("{path}/{key}"), value);
                    }
                }
                ("Secret", None) => secrets.push(format!("{path}/")),
                _ => return Err(format!("there is no {kind} {called} for {path}")),
            }
        }
        let said: Vec<_> = files.values().cloned().chain(self.arguments()).collect();
        let words =
            said.iter().flat_map(|text| text.split([' ', '\n', '"', '\'', '=', ',', '[', ']', '{', '}']));
        let named: Vec<_> = words
            .filter(|word| secrets.iter().any(|path| word.starts_with(path)))
            .map(str::to_owned)
            .collect();
        let authority = Authority::new("made up");
        let pair = authority.server("streamgauge.streamgauge.svc");
        for path in named {
            let content = match &path {
                path if path.ends_with("ca.crt") => &authority.certificate,
                path if path.ends_with(".crt") => &pair.certificate,
                path if path.ends_with(".key") => &pair.key,
                _ => "made-up",
            };
            files.insert(path, content.to_owned());
        }
        Ok(files)
    }

    /// Writes the files below a folder, and has the arguments and the configuration name them there.
    pub fn lay(&self, root: &Path) -> Result<Laid, String> {
        let mounts: Vec<_> =
            list(self.container, "/volumeMounts").iter().map(|mount| text(mount, "/mountPath")).collect();
        let moved = |text: &str| {
            let to = |path: &str| format!("{}{path}/", root.display());
            mounts.iter().fold(text.to_owned(), |text, path| text.replace(&format!("{path}/"), &to(path)))
        };
        for (path, content) in self.files()? {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, moved(&content)).unwrap();
        }
        let arguments = self.arguments().iter().map(|argument| moved(argument)).collect();
        Ok(Laid { arguments, variables: self.variables() })
    }

    /// The configuration that the program goes by.
    pub fn config(&self) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let laid = self.lay(directory.path())?;
        let arguments = ["streamgauge".to_owned()].into_iter().chain(laid.arguments).map(OsString::from);
        let invocation = cli::parse(arguments, laid.variables).map_err(|error| error.to_string())?;
        if invocation.action != cli::Action::Serve {
            return Err("it does not serve".into());
        }
        config::load(&invocation.sources).map_err(|error| error.to_string())
    }

    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        match self.config() {
            Ok(config) => found.extend(self.of_config(&config)),
            Err(problem) => found.push(problem),
        }
        found.extend(self.of_variables());
        found.extend(self.of_mounts());
        found.extend(self.of_security());
        found.into_iter().map(|problem| format!("{}: {problem}", title(self.object))).collect()
    }

    /// Ports and probes are those that the program serves.
    fn of_config(&self, config: &Config) -> Vec<String> {
        let mut wanted = vec![json!({"name": "http", "containerPort": config.listen[0].port})];
        if let Some(kubernetes) = &config.kubernetes {
            wanted.push(json!({"name": "adapter", "containerPort": kubernetes.listen[0].port}));
        }
        let mut found = Vec::new();
        let ports: Vec<_> = list(self.container, "/ports")
            .iter()
            .map(|port| json!({"name": port["name"], "containerPort": port["containerPort"]}))
            .collect();
        if ports != wanted {
            found.push(format!("its ports are {ports:?}, and the program serves {wanted:?}"));
        }
        let ready = match config.kubernetes {
            Some(_) => json!({"path": "/readyz", "port": "adapter", "scheme": "HTTPS"}),
            None => json!({"path": "/-/ready", "port": "http"}),
        };
        let live = json!({"path": "/-/healthy", "port": "http"});
        for (probe, wanted) in [("readinessProbe", ready), ("livenessProbe", live)] {
            let asks = &self.container[probe]["httpGet"];
            if *asks != wanted {
                found.push(format!("its {probe} asks {asks}, not {wanted}"));
            }
        }
        let has_token = self.pod["automountServiceAccountToken"] == true;
        if has_token != (config.kubernetes.is_some() || config.sharding.is_some()) {
            found.push(
                "a token of its account is for the adapter and for shards, and for nothing else".into(),
            );
        }
        found.extend(self.of_sharding(config));
        found
    }

    /// A pod looks for the StatefulSet that it belongs to, and a StatefulSet is for nothing else.
    fn of_sharding(&self, config: &Config) -> Option<String> {
        let of_set = json!({"kind": "StatefulSet", "namespace": self.object["metadata"]["namespace"],
                            "name": self.object["metadata"]["name"]});
        let looked_for = match &config.sharding {
            Some(Sharding::StatefulSet { namespace, name, .. }) => {
                json!({"kind": "StatefulSet", "namespace": namespace, "name": name})
            }
            _ => Value::Null,
        };
        let is_set = self.object["kind"] == "StatefulSet";
        let wanted = if is_set { of_set } else { Value::Null };
        (looked_for != wanted).then(|| format!("it looks for {looked_for}, not for {wanted}"))
    }

    fn of_variables(&self) -> Vec<String> {
        let known: Vec<_> = settings::all().filter_map(|setting| setting.variable()).collect();
        let names = self.variables().into_keys();
        let ours = names.filter(|name| name.starts_with("STREAMGAUGE_") && !known.contains(name));
        ours.map(|name| format!("there is no variable {name}")).collect()
    }

    fn of_mounts(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mounts = list(self.container, "/volumeMounts");
        for volume in list(self.pod, "/volumes") {
            if !mounts.iter().any(|mount| mount["name"] == volume["name"]) {
                found.push(format!("the volume {} is not mounted", volume["name"]));
            }
        }
        for mount in mounts {
            // One file of a volume is not replaced when the volume changes.
            if mount.get("subPath").is_some() {
                found.push(format!("{} is mounted with subPath", mount["mountPath"]));
            }
            if mount["readOnly"] != true {
                found.push(format!("{} can be written", mount["mountPath"]));
            }
        }
        found
    }

    fn of_security(&self) -> Vec<String> {
        let of_pod = json!({"runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                            "seccompProfile": {"type": "RuntimeDefault"}});
        let of_container = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                  "capabilities": {"drop": ["ALL"]}});
        let mut found = Vec::new();
        for (what, context, wanted) in [
            ("pod", &self.pod["securityContext"], of_pod),
            ("container", &self.container["securityContext"], of_container),
        ] {
            if *context != wanted {
                found.push(format!("the securityContext of the {what} is {context}"));
            }
        }
        for kind in ["requests", "limits"] {
            if self.container["resources"][kind].get("memory").is_none() {
                found.push(format!("its resources have no {kind} of memory"));
            }
        }
        found
    }
}

/// The files that a ConfigMap or a Secret holds.
fn content(object: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for key in ["data", "stringData"] {
        for (name, value) in object[key].as_object().into_iter().flatten() {
            let value = if key == "data" && object["kind"] == "Secret" {
                let bytes: k8s_openapi::ByteString = serde_json::from_value(value.clone()).unwrap();
                String::from_utf8(bytes.0).unwrap()
            } else {
                value.as_str().unwrap_or_default().to_owned()
            };
            found.push((name.clone(), value));
        }
    }
    found
}

/// Where a file of the container lies below a folder of the test.
#[allow(dead_code, reason = "for the tests that start the program")]
pub fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
