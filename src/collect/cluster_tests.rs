use super::*;
use crate::collect::resp::{Replies, tests::parsed};

fn place(host: &str, port: u16) -> HostPort {
    HostPort { host: host.to_owned(), port }
}

fn asked() -> HostPort {
    place("seed", 6379)
}

fn ranges(text: &str) -> Result<Vec<Range>, Unexpected> {
    parsed(text.as_bytes(), |reply| super::ranges(reply, &asked()))
}

fn nodes(text: &str, names_hosts: bool) -> Result<View, Unexpected> {
    parsed(bulk(text).as_bytes(), |reply| super::nodes(reply, &asked(), names_hosts))
}

/// As `CLUSTER KEYSLOT` of Redis 7.0 has them; the checksum is the one of the specification.
#[test]
fn slots_of_keys() {
    assert_eq!(crc16(b"123456789"), 0x31C3);
    for (key, expected) in [
        ("123456789", 12739),
        ("foo", 12182),
        ("{user1000}.following", 3443),
        ("{user1000}.followers", 3443),
        ("foo{}{bar}", 8363),
        ("foo{{bar}}zap", 4015),
        ("foo{bar}{zap}", 5061),
        ("", 0),
    ] {
        assert_eq!(slot(&key.into()), expected, "{key}");
    }
}

#[test]
fn a_redirect_is_read_from_whichever_reply_has_it() {
    let queued = "+QUEUED\r\n";
    for (replies, expected) in [
        (&[queued, "-MOVED 866 10.0.0.1:7001\r\n"][..], Some(("10.0.0.1", 7001, false))),
        (&["-ASK 866 10.0.0.1:7001\r\n"], Some(("10.0.0.1", 7001, true))),
        (
            &[queued, "-ASK 866 ::1:7001\r\n", "-EXECABORT Transaction discarded\r\n"],
            Some(("::1", 7001, true)),
        ),
        // Where the node is is not known, or not told.
        (&["-MOVED 866 :7001\r\n"], Some(("seed", 7001, false))),
        (&["-MOVED 866 ?:7001\r\n"], None),
        (&["-TRYAGAIN Multiple keys request during rehashing of slot\r\n"], None),
        (&["-CLUSTERDOWN The cluster is down\r\n", "-MOVED 866 10.0.0.1:7001\r\n"], None),
        (&["-MOVED\r\n"], None),
        (&["-MOVED 866\r\n"], None),
        (&["-MOVED 866 10.0.0.1:port\r\n"], None),
        (&[queued, "+OK\r\n"], None),
    ] {
        let mut read = Replies::default();
        read.buffer().extend(replies.concat().bytes());
        assert_eq!(read.have(replies.len()), Ok(true));
        let read: Vec<_> = read.iter().collect();
        let expected = expected.map(|(host, port, is_asking)| Redirect { to: place(host, port), is_asking });
        assert_eq!(Redirect::of(&read, &asked()), expected, "{replies:?}");
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn array(items: &[String]) -> String {
    format!("*{}\r\n{}", items.len(), items.concat())
}

fn node_of(host: &str, port: u16, metadata: Option<String>) -> String {
    let items = [host.to_owned(), format!(":{port}\r\n"), bulk("id-of-node")];
    array(&items.into_iter().chain(metadata).collect::<Vec<_>>())
}

fn range_of(first: u16, last: u16, nodes: &[String]) -> String {
    let slots = [format!(":{first}\r\n"), format!(":{last}\r\n")];
    array(&slots.iter().chain(nodes).cloned().collect::<Vec<_>>())
}

/// Hosts as servers name them: an address, a name, nothing, nil, and a question mark with the address or without.
#[test]
fn hosts_of_nodes() {
    let ip = || Some(array(&[bulk("ip"), bulk("10.0.0.9")]));
    let in_map = || Some(format!("%1\r\n{}{}", bulk("ip"), bulk("10.0.0.9")));
    for (host, metadata, expected) in [
        (bulk("10.0.0.1"), None, Some("10.0.0.1")),
        (bulk("node.example"), ip(), Some("node.example")),
        (bulk(""), None, Some("seed")),
        ("$-1\r\n".to_owned(), ip(), Some("seed")),
        ("_\r\n".to_owned(), in_map(), Some("seed")),
        (bulk("?"), ip(), Some("10.0.0.9")),
        (bulk("?"), in_map(), Some("10.0.0.9")),
        (bulk("?"), Some(array(&[])), None),
    ] {
        let text =
            array(&[range_of(0, 5, &[node_of(&host, 7001, metadata), node_of(&bulk("r"), 7002, None)])]);
        let expected: Vec<_> = expected
            .map(|host| Range {
                first: 0,
                last: 5,
                primary: place(host, 7001),
                id: "id-of-node".into(),
                replicas: vec![place("r", 7002)],
            })
            .into_iter()
            .collect();
        assert_eq!(ranges(&text), Ok(expected), "{host}");
    }
}

#[test]
fn slots_of_another_shape_are_refused() {
    let node = node_of(&bulk("h"), 7001, None);
    for text in [
        "+OK\r\n".to_owned(),
        array(&["+OK\r\n".to_owned()]),
        array(&[array(&[":0\r\n".to_owned(), ":5\r\n".to_owned()])]),
        array(&[range_of(0, SLOTS, std::slice::from_ref(&node))]),
        array(&[array(&[":-1\r\n".to_owned(), ":5\r\n".to_owned(), node.clone()])]),
        array(&[range_of(0, 5, &[array(&[bulk("h")])])]),
        array(&[range_of(0, 5, &[array(&[bulk("h"), ":70000\r\n".to_owned(), bulk("id")])])]),
    ] {
        assert!(ranges(&text).is_err(), "{text}");
    }
    // A range that runs backwards is none, and a node without a port is nowhere.
    let backwards = ranges(&array(&[range_of(9, 3, std::slice::from_ref(&node))]));
    assert_eq!(backwards.map(|ranges| ranges.len()), Ok(1));
    let nowhere = array(&[range_of(0, 5, &[node_of(&bulk("h"), 0, None)])]);
    assert_eq!(ranges(&nowhere), Ok(vec![]));
}

#[test]
fn primaries_without_slots() {
    let lines = [
        "id1 10.0.0.1:7001@17001,name-1 myself,master - 0 0 1 connected 0-5460 [93-<-id2]",
        "id2 10.0.0.2:7002@17002,name-2,shard-id=x master - 0 0 2 connected",
        "id3 10.0.0.3:7003@17003 master - 0 0 3 connected [93->-id2]",
        "id4 10.0.0.4:7004@17004, master,fail - 0 0 4 connected",
        "id5 10.0.0.5:7005@17005 master,fail? - 0 0 5 connected",
        "id6 :0@0 master,noaddr - 0 0 6 disconnected",
        "id7 10.0.0.7:7007@17007 slave id1 0 0 1 connected",
        "id8 10.0.0.8:7008@17008 handshake - 0 0 0 connected",
        "id9 :7009@17009 master - 0 0 9 connected",
    ];
    let text = lines.join("\n");
    let View { ids, idle, is_replica, .. } = nodes(&text, false).unwrap();
    assert_eq!((ids.len(), is_replica), (9, false));
    let of =
        |places: &[(&str, u16)]| places.iter().map(|(host, port)| place(host, *port)).collect::<Vec<_>>();
    let rest = [("10.0.0.3", 7003), ("10.0.0.5", 7005), ("seed", 7009)];
    assert_eq!(idle, of(&[&[("10.0.0.2", 7002)], &rest[..]].concat()));
    let named = nodes(&text, true).unwrap();
    assert_eq!(named.idle, of(&[&[("name-2", 7002)], &rest[..]].concat()));

    let replica = "id7 10.0.0.7:7007@17007 myself,slave id1 0 0 1 connected";
    assert!(nodes(replica, false).unwrap().is_replica);
    for text in ["id1 10.0.0.1:7001@17001 master", "id1 10.0.0.1 master - 0 0 1 connected"] {
        assert!(nodes(text, false).is_err(), "{text}");
    }
    assert!(parsed(b":1\r\n", |reply| super::nodes(reply, &asked(), false)).is_err());
}
