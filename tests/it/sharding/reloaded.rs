//! A reload: what was measured by the one configuration is not added to what was measured by the other.

use super::{backlog, fill, names_of, of, shard};
use crate::support::{redis::RedisServer, tool::needs, wait};

#[test]
fn a_sum_is_that_of_one_configuration() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let (own, others) = (2, 60);
    for beginning in ["old-", "new-"] {
        let names = [names_of(0, beginning, own), names_of(1, beginning, others)].concat();
        names.iter().for_each(|name| fill(&redis, name, 1));
    }
    let yaml = |streams: &str| of(&redis, &format!(", streams: {streams}"), "");
    let narrow = (yaml("['old-*']"), own + others);
    let wide = (yaml("['old-*', 'new-*']"), 2 * (own + others));
    let shard = shard(&narrow.0, 0, &["--sharding.guest-streams", "200", "--web.enable-lifecycle"]);
    assert_eq!(shard.values(&backlog("")).len(), narrow.1);
    for (yaml, count) in [&wide, &narrow].repeat(10) {
        shard.reload(yaml);
        wait::until_true("the other configuration", || {
            let answer = shard.get(&backlog(""));
            // Until both polls are of one configuration.
            if answer.status == 503 {
                return false;
            }
            let items = answer.json()["items"].as_array().unwrap().len();
            assert!([narrow.1, wide.1].contains(&items), "{items} series are of no configuration");
            items == *count
        });
    }
}
