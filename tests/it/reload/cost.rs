//! What reloads leave behind: nothing.

use std::fs;

use super::{Reloadable, servers};
use crate::{
    reach::rotation::clients,
    support::{redis::RedisServer, tool::needs, wait},
};

#[test]
fn fifty_reloads_leave_no_connection_no_descriptor_and_no_thread() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 3);
    redis.run(&["ACL SETUSER gauge on >p ~* +@all"]);
    let url = redis.url().replace("redis://", "redis://gauge:p@");
    let few = servers(&[("stays", &url, ""), ("changes", &url, "")]);
    let it = Reloadable::start(&few);
    it.gauge.metrics();
    let proc = format!("/proc/{}", it.gauge.process.id());
    let count = |what: &str| fs::read_dir(format!("{proc}/{what}")).unwrap().count();
    let settled = |sockets: usize| {
        wait::until("all that came to go", || {
            match (clients(&redis, "gauge").len(), count("fd"), count("task")) {
                (2, fds, tasks) if fds <= sockets => Ok((fds, tasks)),
                other => Err(format!("{other:?}, sockets {sockets}")),
            }
        })
    };
    let (fds, tasks) = settled(usize::MAX);
    for number in 0..50 {
        match number % 5 {
            0 => it.reload(&servers(&[
                ("stays", &url, ""),
                ("changes", &url, "streams: [orders]"),
                ("comes", &url, ""),
            ])),
            1 => it.reload(&servers(&[
                ("stays", &url, ""),
                ("changes", &url, "database: 1"),
                ("comes", &url, "timeout: 1s"),
            ])),
            2 => drop(it.refused("nonsense: 1")),
            3 => {
                it.reload(&servers(&[("changes", &url, "database: 1"), ("stays", &url, "consumers: false")]))
            }
            _ => it.reload(&few),
        }
    }
    let (_, after) = settled(fds);
    // Threads for what would block come and go.
    wait::until("threads to end", || match count("task") {
        now if now <= tasks => Ok(()),
        now => Err(format!("{now} of {tasks}, {after} before")),
    });
    it.gauge.poll_of("stays").check(&[
        (r#"redis_up{redis="changes"}"#, Some(1.0)),
        (r#"redis_stream_length{redis="changes"}"#, Some(3.0)),
        (r#"redis_up{redis="comes"}"#, None),
    ]);
}
