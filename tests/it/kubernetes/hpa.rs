//! The arithmetic of the HorizontalPodAutoscaler over real numbers: it lists, adds up, compares with its target, and
//! holds where there is an error.

use super::{Adapter, EXTERNAL};
use crate::support::{http::Answer, redis::RedisServer};

/// How the HPA is written.
#[derive(Clone, Copy)]
enum Target {
    /// `AverageValue`: so much for each replica.
    Average(i64),
    /// `Value`: so much in all.
    Whole(i64),
}

/// A faithful small HPA for one external metric: `GetExternalMetricReplicas` and `GetExternalPerPodMetricReplicas` of
/// k8s.io/kubernetes/pkg/controller/podautoscaler, with its tolerance of a tenth. Values are thousandths there.
struct Hpa {
    target: Target,
    min: i64,
    max: i64,
    replicas: i64,
}

impl Hpa {
    /// One round; the message where the metric could not be had, and the replicas stay.
    fn sync(&mut self, answer: &Answer) -> Result<i64, String> {
        if answer.status != 200 {
            return Err(answer.json()["message"].as_str().unwrap().to_owned());
        }
        let list = answer.json();
        let items = list["items"].as_array().unwrap();
        if items.is_empty() {
            return Err("no metrics returned from external metrics API".into());
        }
        let usage: i64 = items.iter().map(|item| milli(item["value"].as_str().unwrap())).sum();
        let desired = match self.target {
            Target::Average(target) => {
                let target = target * 1000;
                let ratio = usage as f64 / (target as f64 * self.replicas as f64);
                // Of 0 replicas there is no ratio: it is not within the tolerance.
                let within = self.replicas > 0 && (1.0 - ratio).abs() <= 0.1;
                if within { self.replicas } else { (usage + target - 1) / target }
            }
            Target::Whole(target) => {
                let ratio = usage as f64 / (target * 1000) as f64;
                if self.replicas == 0 {
                    ratio.ceil() as i64
                } else if (1.0 - ratio).abs() <= 0.1 {
                    self.replicas
                } else {
                    (ratio * self.replicas as f64).ceil() as i64
                }
            }
        };
        self.replicas = desired.clamp(self.min, self.max);
        Ok(self.replicas)
    }
}

/// `Quantity.MilliValue`.
fn milli(quantity: &str) -> i64 {
    match quantity.strip_suffix('m') {
        Some(milli) => milli.parse().unwrap(),
        None => quantity.parse::<i64>().unwrap() * 1000,
    }
}

#[test]
fn a_backlog_scales_workers_up_down_and_to_zero_and_holds_on_ignorance() {
    let mut redis = RedisServer::start();
    redis.run(&["XGROUP CREATE orders processing_group 0 MKSTREAM"]);
    redis.add("orders", 950);
    let adapter = Adapter::of(&redis.url());
    let path = format!(
        "{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector=group%3Dprocessing_group%2Cstream%3Dorders"
    );
    let hpa = |target, min, replicas| Hpa { target, min, max: 20, replicas };
    let (mut at_least_two, mut to_zero) = (hpa(Target::Average(100), 2, 2), hpa(Target::Average(100), 0, 0));
    let mut whole = hpa(Target::Whole(475), 1, 3);
    assert_eq!(at_least_two.sync(&adapter.get(&path)), Ok(10));
    assert_eq!(to_zero.sync(&adapter.get(&path)), Ok(10));
    // Twice the target: twice the replicas.
    assert_eq!(whole.sync(&adapter.get(&path)), Ok(6));

    // Entries that were delivered are work until they are acknowledged.
    let ids: Vec<String> = {
        redis.run(&["XREADGROUP GROUP processing_group w COUNT 950 STREAMS orders >"]);
        let entries: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "orders", "-", "+"]);
        entries.into_iter().map(|(id, _)| id).collect()
    };
    adapter.poll();
    assert_eq!(at_least_two.sync(&adapter.get(&path)), Ok(10));
    for ids in ids[..700].chunks(100) {
        redis.run(&[&format!("XACK orders processing_group {}", ids.join(" "))]);
    }
    adapter.poll();
    assert_eq!(at_least_two.sync(&adapter.get(&path)), Ok(3));
    assert_eq!(to_zero.sync(&adapter.get(&path)), Ok(3));

    // Redis is gone: both hold, whatever was known before.
    redis.pause();
    redis.resume();
    redis.kill();
    adapter.gauge.until("redis_up", Some(0.0));
    for hpa in [&mut at_least_two, &mut to_zero] {
        let message = hpa.sync(&adapter.get(&path)).unwrap_err();
        assert!(message.starts_with("redis \"main\" cannot be polled"), "{message}");
        assert_eq!(hpa.replicas, 3);
    }

    // It comes back empty: the stream is not there, and nothing says that no work waits.
    redis.restart(&[]);
    adapter.gauge.until("redis_up", Some(1.0));
    adapter.poll();
    assert_eq!(
        to_zero.sync(&adapter.get(&path)).unwrap_err(),
        "no group matches redis_stream_group_backlog {group=processing_group,stream=orders}"
    );
    assert_eq!(to_zero.replicas, 3);

    // Drained, which is known.
    redis.run(&["XGROUP CREATE orders processing_group $ MKSTREAM"]);
    adapter.poll();
    assert_eq!(at_least_two.sync(&adapter.get(&path)), Ok(2));
    assert_eq!(to_zero.sync(&adapter.get(&path)), Ok(0));
    // One entry wakes one worker.
    redis.add("orders", 1);
    adapter.poll();
    assert_eq!(to_zero.sync(&adapter.get(&path)), Ok(1));
}

#[test]
fn several_groups_add_up_in_the_hpa_and_ages_do_not() {
    let redis = RedisServer::start();
    redis.run(&["XGROUP CREATE orders a 0 MKSTREAM", "XGROUP CREATE orders b 0"]);
    redis.add("orders", 300);
    redis.run(&[
        "XREADGROUP GROUP a w COUNT 1 STREAMS orders >",
        "XREADGROUP GROUP b w COUNT 1 STREAMS orders >",
    ]);
    let adapter = Adapter::of(&redis.url());
    let mut hpa = Hpa { target: Target::Average(100), min: 1, max: 20, replicas: 1 };
    assert_eq!(hpa.sync(&adapter.get(&format!("{EXTERNAL}/shop/redis_stream_group_backlog"))), Ok(6));
    let ages = adapter.values(&format!("{EXTERNAL}/shop/redis_stream_group_oldest_pending_idle_seconds"));
    assert_eq!(ages.len(), 1, "{ages:?}");
}
