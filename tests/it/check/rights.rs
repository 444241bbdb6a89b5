//! The rights of the user: what is documented is enough, and whatever lacks is named, all at once.

use std::collections::BTreeSet;

use streamgauge::collect::commands::{COMMANDS, Feature};

use crate::{
    acl::{EVERYTHING, SETS, USER, fill, refusals, servers_of, set_user},
    servers,
    support::tool::needs,
};

#[test]
fn the_documented_users_pass() {
    needs!("redis-server");
    for version in servers::versions() {
        for set in SETS {
            let redis = version.start();
            fill(&redis, set.database());
            redis.run(&[&set.setuser(servers_of(&redis)), "ACL LOG RESET"]);
            let checked = set.check(&redis, USER);
            checked.all_ok();
            assert_eq!(refusals(&redis, USER), [""; 0], "{version:?}, {}: {}", set.title, checked.text);
        }
    }
}

/// Each command is missed, and no other is blamed.
#[test]
fn each_command_that_is_refused_is_named() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        let servers = servers_of(&redis);
        fill(&redis, 1);
        // Those of clusters and Sentinels are sent to none of the processes here.
        const ELSEWHERE: [Feature; 4] =
            [Feature::Cluster, Feature::ClusterReplicas, Feature::Sentinel, Feature::SentinelReplicas];
        let ruled = COMMANDS
            .iter()
            .filter(|command| command.ruled_by.contains(&servers) && !ELSEWHERE.contains(&command.feature));
        let mut tried = 0;
        for command in ruled {
            let rule = command.rule();
            let rights = EVERYTHING.rights(servers).into_iter().filter(|right| *right != rule);
            redis.run(&[&set_user(USER, &rights.collect::<Vec<_>>())]);
            let checked = EVERYTHING.check(&redis, USER);
            let advice = format!("grant {rule} (docs/redis-acl.md)");
            let named: Vec<_> = checked.wrong().into_iter().filter(|line| line.check == "acl").collect();
            assert_eq!(named.len(), 1, "{version:?} {rule}: {}", checked.text);
            named[0].says(&format!("{}: NOPERM ", command.words), &advice);
            let status = if command.is_reported { "fail" } else { "warn" };
            assert_eq!(named[0].status, status, "{rule}");
            assert!(named[0].message.contains(command.without), "{rule}: {named:?}");
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
    }
}

/// All that lacks, and not only the first of it.
#[test]
fn everything_that_lacks_is_told_at_once() {
    needs!("redis-server");
    let redis = servers::versions()[0].start();
    let servers = servers_of(&redis);
    fill(&redis, 1);
    let only = [servers.key_rule("other"), "+xpending".to_owned(), "+time".to_owned(), "+multi".to_owned()];
    redis.run(&[&set_user(USER, &only)]);
    let checked = EVERYTHING.check(&redis, USER);
    let advised: BTreeSet<_> = checked.all("acl").into_iter().filter_map(|line| line.advice).collect();
    let needed = EVERYTHING.rights(servers).into_iter().filter(|right| right.starts_with('+'));
    // Without INFO the version is not known, and so is not whether the server tells of changes.
    let of_changes = ["+client|tracking", "+client|caching"];
    let mut expected: BTreeSet<_> = needed
        .filter(|right| !only.contains(right) && !of_changes.contains(&&**right))
        .map(|right| format!("grant {right} (docs/redis-acl.md)"))
        .collect();
    expected.insert("grant %R~orders (before Redis 7.0: ~orders) (docs/redis-acl.md)".to_owned());
    assert_eq!(advised, expected, "{}", checked.text);
    checked.one("streams", "skip");
}

/// Keys, whether they are named or found.
#[test]
fn each_stream_that_may_not_be_read_is_named() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        let servers = servers_of(&redis);
        fill(&redis, 1);
        for (key, stream) in [("orders", "orders"), ("events:*", "events:eu")] {
            let without = servers.key_rule(key);
            let rights = EVERYTHING.rights(servers).into_iter().filter(|right| *right != without);
            redis.run(&[&set_user(USER, &rights.collect::<Vec<_>>())]);
            let checked = EVERYTHING.check(&redis, USER);
            let wrong = checked.wrong();
            assert_eq!(
                (wrong.len(), &*wrong[0].check, &*wrong[0].status),
                (1, "acl", "fail"),
                "{}",
                checked.text
            );
            let advice = format!("grant %R~{stream} (before Redis 7.0: ~{stream}) (docs/redis-acl.md)");
            assert_eq!(wrong[0].advice.as_ref(), Some(&advice), "{}", checked.text);
            assert!(wrong[0].message.starts_with(&format!("stream {stream}")), "{wrong:?}");
        }
    }
}

/// Of several streams that are named, each is tried: also where the commands of a poll would not come so far.
#[test]
fn each_stream_that_is_named_is_tried() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        let (set, servers) = (&SETS[0], servers_of(&redis));
        fill(&redis, 0);
        let lacking = [servers.key_rule("events:eu"), servers.key_rule("orders")];
        let refused = "+xinfo|stream".to_owned();
        for key in &lacking {
            let rights = set.rights(servers).into_iter().filter(|right| right != key && *right != refused);
            redis.run(&[&set_user(USER, &rights.collect::<Vec<_>>())]);
            let checked = set.check(&redis, USER);
            let advised: Vec<_> = checked.all("acl").into_iter().filter_map(|line| line.advice).collect();
            let name = key.rsplit('~').next().unwrap();
            let of_key = format!("grant %R~{name} (before Redis 7.0: ~{name}) (docs/redis-acl.md)");
            assert_eq!(advised, ["grant +xinfo|stream (docs/redis-acl.md)", &of_key], "{}", checked.text);
        }
    }
}

/// Where nothing is there yet, nothing can be tried on it, and nothing is made up.
#[test]
fn rights_on_streams_that_are_yet_to_come() {
    needs!("redis-server");
    let redis = servers::versions()[0].start();
    redis.run(&[&EVERYTHING.setuser(servers_of(&redis))]);
    let checked = EVERYTHING.check(&redis, USER);
    checked.one("acl", "ok");
    assert_eq!(checked.code, 0, "{}", checked.text);
}

/// Nothing is changed, and nothing is sent that a poll does not send.
#[test]
fn it_only_reads() {
    needs!("redis-server");
    let redis = servers::versions()[0].start();
    fill(&redis, 1);
    redis.run(&[&set_user(USER, &["~*".to_owned(), "+@all".to_owned()])]);
    let before = redis.calls();
    let dirty = |redis: &crate::support::redis::RedisServer| -> String {
        let info: String = redis.ask(&["INFO", "persistence"]);
        info.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).unwrap().to_owned()
    };
    let changes = dirty(&redis);
    EVERYTHING.check(&redis, USER);
    assert_eq!(dirty(&redis), changes);
    let sent: BTreeSet<_> = redis
        .calls()
        .into_iter()
        .filter(|call| before.get(&call.0) != Some(&call.1))
        .map(|call| call.0)
        .collect();
    let known: BTreeSet<_> =
        COMMANDS.iter().map(|command| command.words.split(' ').next().unwrap().to_lowercase()).collect();
    assert!(sent.is_subset(&known), "{sent:?}");
}
