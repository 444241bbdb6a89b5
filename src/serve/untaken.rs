//! What is on its way to a client: for how long it is waited for until the client has taken it.
//!
//! It stays in memory until then, and each snapshot has a text of its own: many clients that stop reading would fill the
//! memory with old ones. Where it waits differs: in a buffer of the connection (HTTP/1), or of a stream that the client has not
//! opened any window for (HTTP/2). So each piece of an answer is counted from when it is handed out until it is freed.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Pieces of answers that one client has not taken yet.
#[derive(Debug, Default)]
pub struct Untaken {
    /// Number of the next one, and those there are, by number: when each was handed out.
    pieces: Mutex<(u64, BTreeMap<u64, Instant>)>,
    /// The first one of several was handed out.
    begun: Notify,
}

impl Untaken {
    /// Whether there are any.
    #[must_use]
    pub fn any(&self) -> bool {
        self.oldest().is_some()
    }

    /// Waits until a piece was not taken for so long.
    pub async fn overdue(&self, patience: Duration) {
        loop {
            match self.oldest() {
                None => self.begun.notified().await,
                Some(since) if since.elapsed() >= patience => return,
                Some(since) => sleep_until(since + patience).await,
            }
        }
    }

    fn oldest(&self) -> Option<Instant> {
        self.lock().1.values().next().copied()
    }

    fn hand_out(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let (next, pieces) = &mut *self.lock();
        let number = *next;
        *next += 1;
        if pieces.is_empty() {
            self.begun.notify_one();
        }
        pieces.insert(number, Instant::now());
        Bytes::from_owner(Piece { bytes, number, of: Arc::clone(self) })
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Instant>)> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are counted as long as anybody has them.
struct Piece {
    bytes: Bytes,
    number: u64,
    of: Arc<Untaken>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.of.lock().1.remove(&self.number);
    }
}

/// The body of an answer, whose pieces are counted.
pub struct Counted<B> {
    body: B,
    untaken: Arc<Untaken>,
}

impl<B> Counted<B> {
    /// As the body is, for the client of these.
    pub fn new(body: B, untaken: Arc<Untaken>) -> Counted<B> {
        Counted { body, untaken }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let counted = |frame: Frame<Bytes>| frame.map_data(|bytes| self.untaken.hand_out(bytes));
        Poll::Ready(frame.map(|frame| frame.map(counted)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_piece_is_overdue_once_it_was_not_taken_for_long_enough() {
        let untaken = Arc::<Untaken>::default();
        let patience = Duration::from_secs(30);
        let waiting = tokio::spawn({
            let untaken = untaken.clone();
            async move { untaken.overdue(patience).await }
        });
        // What is taken in time is no matter, however many pieces follow each other.
        let mut latest = untaken.hand_out(Bytes::from_static(b"1"));
        for _ in 0..10 {
            tokio::time::sleep(patience / 2).await;
            latest = untaken.hand_out(Bytes::from_static(b"22"));
            assert!(untaken.any() && !waiting.is_finished());
        }
        // A part of it is all of it, for memory.
        let part = latest.slice(1..);
        drop(latest);
        assert!(untaken.any());
        drop(part);
        assert!(!untaken.any());
        let kept = untaken.hand_out(Bytes::from_static(b"33"));
        let begun = Instant::now();
        waiting.await.unwrap();
        let waited = begun.elapsed();
        assert!(patience <= waited && waited < patience + Duration::from_secs(1), "{waited:?}");
        drop(kept);
    }

    #[test]
    fn nothing_is_no_piece() {
        let untaken = Arc::<Untaken>::default();
        assert!(untaken.hand_out(Bytes::new()).is_empty() && !untaken.any());
    }
}
