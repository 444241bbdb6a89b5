//! The checker can fail: what it finds, and what it lets pass.

use super::*;

const TABLE: &str = "\
//! | module | what it is for | may import |
//! | --- | --- | --- |
//! | [`model`] | data | nothing |
//! | [`collect`] | redis | `model`, `config` |
//! | [`cluster`] | kubernetes | `model` |
//! | [`serve`] | answers | `model`, `cluster` |
//! | [`demo`] | demo | nothing |
//! | [`cli`], [`run`] | wiring | all |
";

#[test]
fn the_table_is_read() {
    let order = order(TABLE);
    assert_eq!(
        order.keys().collect::<Vec<_>>(),
        ["cli", "cluster", "collect", "demo", "model", "run", "serve"]
    );
    assert_eq!(order["run"], Allowed::All);
    assert_eq!(order["demo"], Allowed::Only(vec![]));
    assert_eq!(order["collect"], Allowed::Only(vec!["model".into(), "config".into()]));
}

/// The checker can fail.
#[test]
fn a_forbidden_import_is_found() {
    let order = order(TABLE);
    for (file, source, expected) in [
        ("serve/a.rs", "use crate::collect::poll;", "1: serve may not import crate::collect"),
        (
            "serve/a.rs",
            "\nuse crate::{\n    model::name,\n    collect::{\n        poll,\n    },\n};",
            "4: serve may not import crate::collect",
        ),
        ("serve/a.rs", "use { std::fmt, crate::{model, config} };", "1: serve may not import crate::config"),
        ("serve/a.rs", "fn f() {\n let x = crate::run::run();\n}", "2: serve may not import crate::run"),
        ("serve/a.rs", "html! { (crate::collect::x()) }", "1: serve may not import crate::collect"),
        ("serve/a.rs", "use streamgauge::collect;", "1: serve may not import crate::collect"),
        ("serve/a.rs", "use ::streamgauge::{model, collect};", "1: serve may not import crate::collect"),
        ("serve/a.rs", "use super::super::collect;", "1: serve may not import crate::collect"),
        ("serve/mod.rs", "use super::{model, collect::x};", "1: serve may not import crate::collect"),
        ("serve/a/b.rs", "use super::super::super::{collect};", "1: serve may not import crate::collect"),
        (
            "serve/a.rs",
            "mod tests { use super::super::super::collect; }",
            "1: serve may not import crate::collect",
        ),
        ("serve/a_tests.rs", "use super::super::super::collect;", "1: serve may not import crate::collect"),
        ("model/a.rs", "use crate::*;", "1: model may not import crate::*"),
        ("model/a.rs", "use crate as all;", "1: model may not import crate::self"),
        ("model/a.rs", "use crate::{self as all};", "1: model may not import crate::self"),
        ("model/a.rs", "pub use crate::config::Config;", "1: model may not import crate::config"),
        ("model/a.rs", "type T = Vec<crate::config::Config>;", "1: model may not import crate::config"),
        ("demo.rs", "use crate::model::name::Name;", "1: demo may not import crate::model"),
        ("serve/a.rs", "use redis::Value;", "1: serve may not import the redis crate"),
        ("serve/a.rs", "use redis as r;", "1: serve may not import the redis crate"),
        ("serve/a.rs", "use {std::fmt, redis::{Value}};", "1: serve may not import the redis crate"),
        ("serve/a.rs", "extern crate redis;", "1: serve may not import the redis crate"),
        ("run.rs", "fn f() -> redis::Value { todo!() }", "1: run may not import the redis crate"),
        ("cli.rs", "fn f() { ::redis::cmd(\"X\"); }", "1: cli may not import the redis crate"),
        ("model/a.rs", "fn f(x: &::redis::Value) {}", "1: model may not import the redis crate"),
        ("cluster/a.rs", "use redis::Value;", "1: cluster may not import the redis crate"),
        ("cluster/a.rs", "use crate::serve::page;", "1: cluster may not import crate::serve"),
        ("serve/a.rs", "use kube::Client;", "1: serve may not import the kube crate"),
        ("serve/a.rs", "use k8s_openapi::api;", "1: serve may not import the k8s_openapi crate"),
        ("run.rs", "fn f(x: kube::Client) {}", "1: run may not import the kube crate"),
    ] {
        assert_eq!(violations(&order, file, source), [format!("src/{file}:{expected}")], "{source}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let order = order(TABLE);
    for (file, source) in [
        ("serve/a.rs", "use crate::{model::{name, lag}, serve::page};"),
        (
            "serve/a.rs",
            "// use crate::collect;\n/// [`crate::collect`]\nconst X: &str = \"crate::collect redis::Value\";",
        ),
        ("serve/a.rs", "pub(crate) fn f() { let redis = 1; x.redis; a::redis::b(); S { redis: 1 }; }"),
        ("serve/a.rs", "use super::table; use self::x; mod t { use super::super::http; }"),
        ("serve/a_tests.rs", "use super::{super::table, *};"),
        ("collect/decode_tests/a.rs", "use super::super::super::ask;"),
        ("collect/a.rs", "use redis::{Value, cmd}; use crate::{config, model};"),
        ("demo/a.rs", "use redis::cmd; use super::server;"),
        ("cluster/a.rs", "use kube::Client; use k8s_openapi::api; use crate::model::name;"),
        ("serve/a.rs", "use crate::cluster::Cluster; let kube = 1; x.kube;"),
        ("run.rs", "use crate::{collect, serve, cli}; use streamgauge::demo;"),
        ("main.rs", "use streamgauge::{cli, run};"),
    ] {
        assert_eq!(violations(&order, file, source), Vec::<String>::new(), "{source}");
    }
}
