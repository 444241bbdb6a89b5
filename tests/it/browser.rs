//! The page as a browser understands it.

use std::process::Command;

use crate::support::{
    exporter::Streamgauge,
    process,
    redis::RedisServer,
    tool::{self, needs},
};

/// What the browser is called, by distribution.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

#[test]
fn names_are_text_and_run_nothing() {
    needs!("redis-server");
    let Some(browser) = BROWSERS.into_iter().find(|name| tool::is_installed(name)) else {
        // Skipped for all to see, or failed.
        let _ = tool::require(BROWSERS[0]);
        return;
    };
    let redis = RedisServer::start();
    let hostile = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>";
    redis.run_bytes(&[b"XADD", hostile.as_bytes(), b"*", b"n", b"1"]);
    redis.run_bytes(&[b"XGROUP", b"CREATE", hostile.as_bytes(), hostile.as_bytes(), b"0"]);
    let gauge = Streamgauge::of(&redis.url(), &[]);

    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(browser);
    command
        // As root it needs the first; the network is none of this test's business.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{}/", gauge.address));
    let output = process::run(command, b"");
    let dom = String::from_utf8_lossy(&output.stdout);
    assert!(dom.contains("<title>streamgauge</title>"), "{dom}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!dom.contains("<img") && !dom.contains("<script"), "{dom}");
    // Once as a stream, once as a group, with the lag beside them.
    assert_eq!(dom.matches("&lt;img src=x onerror=").count(), 2, "{dom}");
    assert!(dom.contains("exact"), "{dom}");
}
