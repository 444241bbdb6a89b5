//! Names that break what is written carelessly. Redis takes any bytes.

use super::redis::RedisServer;

/// Names, with the text that stands for each.
pub const NAMES: &[(&[u8], &str)] = &[
    (b"", ""),
    (b"quote\"d", "quote\"d"),
    (b"back\\slash", "back\\slash"),
    (b"ends with \\", "ends with \\"),
    (b"new\nline", "new\nline"),
    (b"carriage\rreturn", "carriage\rreturn"),
    (b"nul\0tab\tdel\x7f", "nul\0tab\tdel\x7f"),
    (b"\x1b[31mred\x1b[0m", "\u{1b}[31mred\u{1b}[0m"),
    (b"a} 1\nredis_up 7\n# EOF", "a} 1\nredis_up 7\n# EOF"),
    (b"{label=\"value\"}", "{label=\"value\"}"),
    (b"<script>alert(1)</script>&amp;", "<script>alert(1)</script>&amp;"),
    (b" spaces ", " spaces "),
    ("\u{e9}v\u{e9}nements \u{2028}\u{202e}".as_bytes(), "\u{e9}v\u{e9}nements \u{2028}\u{202e}"),
    (b"not \xff\xfe utf-8", "not \\xff\\xfe utf-8"),
    // What looks like an escape must not be taken for one.
    (b"not \\xff\\xfe utf-8", "not \\x5cxff\\x5cxfe utf-8"),
];

/// A name of 1 MB.
pub fn long_name() -> Vec<u8> {
    vec![b'a'; 1 << 20]
}

/// A stream, a group and a consumer under each of the names; every stream has a backlog of 3.
pub fn fill(redis: &RedisServer) {
    let names = NAMES.iter().map(|(name, _)| name.to_vec());
    for name in names.chain([long_name()]) {
        let name = &name[..];
        for _ in 0..3 {
            redis.run_bytes(&[b"XADD", name, b"*", b"n", b"1"]);
        }
        redis.run_bytes(&[b"XGROUP", b"CREATE", name, name, b"0"]);
        redis.run_bytes(&[b"XREADGROUP", b"GROUP", name, name, b"COUNT", b"1", b"STREAMS", name, b">"]);
    }
}
