//! When a connection that works is replaced by one with newer credentials: whenever those in its files have changed, and
//! not again and again where the newer ones are refused.

use std::time::Duration;

use tokio::time::Instant;

use super::credentials::Credentials;
use crate::model::fault::{Fault, FaultKind};

/// Time after which credentials are tried again that failed for a reason which may go away without them: opening a
/// connection delays the poll, at worst by the timeout.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What came of reading the files.
pub type Read = Result<Credentials, Fault>;

/// The latest renewal that failed; none where the connection is up to date.
#[derive(Default)]
pub struct Renewal(Option<Failed>);

struct Failed {
    with: Read,
    reason: String,
    /// `None` is not before the files change: whoever is refused for a wrong password may be locked out for insisting.
    retry_at: Option<Instant>,
}

impl Renewal {
    /// Whether it is time to try these in place of those in use.
    pub fn is_due(&mut self, in_use: &Credentials, read: &Read, now: Instant) -> bool {
        if read.as_ref().is_ok_and(|read| read == in_use) {
            // Also where a change was taken back.
            self.0 = None;
            return false;
        }
        let failed = self.0.as_ref().filter(|failed| failed.with == *read);
        failed.is_none_or(|failed| failed.retry_at.is_some_and(|at| at <= now))
    }

    /// Keeps in mind that these are of no use; says whether that is news.
    pub fn failed(&mut self, with: Read, fault: &Fault, now: Instant) -> bool {
        // A file that cannot be read is looked at with every poll anyhow.
        let retry_at = (with.is_ok() && fault.kind != FaultKind::Auth).then(|| now + RETRY_AFTER);
        let failed = Failed { with, reason: fault.message.clone(), retry_at };
        let before = self.0.replace(failed);
        before.is_none_or(|before| before.reason != fault.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Credentials {
        Credentials { username: None, password: Some(text.into()), ca: None, client: None }
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "because")
    }

    #[test]
    fn only_a_change_is_due() {
        let (mut renewal, now) = (Renewal::default(), Instant::now());
        assert!(!renewal.is_due(&password("a"), &Ok(password("a")), now));
        assert!(renewal.is_due(&password("a"), &Ok(password("b")), now));
        assert!(renewal.is_due(&password("a"), &Err(fault(FaultKind::Auth)), now));
    }

    #[test]
    fn wrong_credentials_are_tried_once() {
        let (mut renewal, now) = (Renewal::default(), Instant::now());
        let (old, wrong) = (password("a"), || Ok(password("b")));
        assert!(renewal.failed(wrong(), &fault(FaultKind::Auth), now));
        assert!(!renewal.is_due(&old, &wrong(), now + RETRY_AFTER * 2));
        // With the next change, and when they come back after the old ones.
        assert!(renewal.is_due(&old, &Ok(password("c")), now));
        assert!(!renewal.is_due(&old, &Ok(password("a")), now));
        assert!(renewal.is_due(&old, &wrong(), now));
    }

    #[test]
    fn other_failures_are_tried_again_after_a_while_and_told_once() {
        let (mut renewal, now) = (Renewal::default(), Instant::now());
        let (old, new) = (password("a"), || Ok(password("b")));
        assert!(renewal.failed(new(), &fault(FaultKind::Timeout), now));
        assert!(!renewal.is_due(&old, &new(), now));
        assert!(renewal.is_due(&old, &new(), now + RETRY_AFTER));
        assert!(!renewal.failed(new(), &fault(FaultKind::Timeout), now + RETRY_AFTER));
        assert!(!renewal.is_due(&old, &new(), now + RETRY_AFTER));
        assert!(renewal.failed(new(), &Fault::new(FaultKind::Connect, "otherwise"), now));
    }
}
