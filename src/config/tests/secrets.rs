//! Passwords: where they may stand, and that nothing ever shows them.

use super::*;

const SECRET: &str = "geheim";

/// Every way to write the password down.
fn ways(directory: &Path) -> Vec<Written> {
    let file = directory.join("password");
    fs::write(&file, SECRET).unwrap();
    vec![
        written().variable("STREAMGAUGE_REDIS_URL", "redis://u:geheim@h"),
        written().variable("STREAMGAUGE_REDIS_URL", "rediss://u:geheim@h"),
        written().variable("STREAMGAUGE_REDIS_URL", "redis+unix://u:geheim@/s"),
        written().variable("STREAMGAUGE_REDIS_PASSWORD", SECRET),
        written().variable("REDIS_PASSWORD", SECRET),
        written().variable("REDIS_ADDR", "redis://:geheim@h"),
        written().file("redis: [{url: h, password: geheim}]"),
        written().file("redis: [{url: 'redis://:geheim@h'}]"),
        written().flag("redis.password-file", &[file.to_str().unwrap()]),
    ]
}

#[test]
fn no_debug_output_shows_a_password() {
    let directory = TempDir::new().unwrap();
    for written in ways(directory.path()) {
        let (config, server) = (written.load(), written.server());
        assert_eq!(password(&server).as_deref(), Some(SECRET));
        let file = written.sources.file.as_deref();
        let node = file.zip(written.sources.read()).map(|(file, contents)| parse(file, &contents).unwrap());
        let sections = resolve::resolve(&written.sources, node.as_ref(), &mut vec![]);
        for shown in [
            format!("{config:?} {config:#?}"),
            format!("{server:?} {:?}", server.password),
            format!("{:?} {:#?}", written.sources, written.sources),
            format!("{node:?} {:?}", node.as_ref().map(|node| &node.value)),
            format!("{sections:?} {sections:#?}"),
        ] {
            assert!(!shown.contains(SECRET), "{shown}");
            assert!(shown.len() > 4);
        }
    }
}

#[test]
fn no_problem_shows_a_password() {
    for text in [
        "redis: [{password: [geheim]}]",
        "redis: [{password: {geheim: 1}, url: h}]",
        "redis: [{url: [redis://u:geheim@h]}]",
        "redis: [{url: 'x://u:geheim@h', password: geheim, password_file: /nonexistent}]",
        "redis: [{pasword: geheim}]",
        "redis: [{password: geheim",
        "redis: [{password: geheim, password: geheim}]",
        "geheim",
    ] {
        for told in written().file(text).problems() {
            // A key is no secret.
            assert!(!told.contains(SECRET), "{told}");
        }
    }
    let error = load(&written().file("redis: [{password: [geheim]}]").sources).unwrap_err();
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let told = written().flag("redis.url", &["redis://u:geheim@h"]).problems();
    assert_eq!(
        told,
        ["--redis.url: must not hold a password: every process can read the command line; \
            use STREAMGAUGE_REDIS_URL, STREAMGAUGE_REDIS_PASSWORD or --redis.password-file"]
    );
    // A user name may stand there.
    let server = written().flag("redis.url", &["redis://u@h"]).server();
    assert_eq!(username(&server).as_deref(), Some("u"));
}

#[test]
fn one_password_in_one_place() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "of file").unwrap();
    let file = file.to_str().unwrap();
    let url = || written().variable("STREAMGAUGE_REDIS_URL", "redis://u:p@h");
    for (written, expected) in [
        (
            url().variable("STREAMGAUGE_REDIS_PASSWORD", "q"),
            "STREAMGAUGE_REDIS_PASSWORD: is in the URL too: leave one out",
        ),
        (url().flag("redis.username", &["v"]), "--redis.username: is in the URL too: leave one out"),
        (
            url().flag("redis.password-file", &[file]),
            "--redis.password-file: there is a password besides the file: leave one out",
        ),
        (
            written().variable("STREAMGAUGE_REDIS_PASSWORD", "q").flag("redis.password-file", &[file]),
            "--redis.password-file: there is a password besides the file: leave one out",
        ),
        (
            written().file(format!("redis: [{{password: p, password_file: {file}}}]")),
            "streamgauge.yaml:1:38: redis[0].password_file: there is a password besides the file: leave one out",
        ),
    ] {
        assert_eq!(written.problems(), [expected]);
    }
    // Another tool's variables give way.
    let server = url().variable("REDIS_PASSWORD", "q").variable("REDIS_USER", "v").server();
    assert_eq!((username(&server).as_deref(), password(&server).as_deref()), (Some("u"), Some("p")));
    let server = written().variable("REDIS_PASSWORD", "q").flag("redis.password-file", &[file]).server();
    assert_eq!(password(&server).as_deref(), Some("of file"));
}

#[test]
fn a_password_file_is_read_anew() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("password");
    let path = file.display();
    let written = written().file(format!("redis: [{{url: h, password_file: {path}}}]"));
    assert_eq!(
        written.problems(),
        [format!(
            "streamgauge.yaml:1:33: redis[0].password_file: cannot read {path}: No such file or directory (os error 2)"
        )]
    );
    fs::write(&file, "one\n").unwrap();
    let server = written.server();
    for (content, expected) in
        [("one", "one"), ("two\n", "two"), ("three\r\n", "three"), (" four \n\n", " four \n"), ("", "")]
    {
        fs::write(&file, content).unwrap();
        assert_eq!(password(&server).as_deref(), Some(expected), "{content:?}");
    }
    fs::remove_file(&file).unwrap();
    let error = server.password.unwrap().read().unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {path}: No such file or directory (os error 2)"));
}
