//! A stream of bytes with a Redis at the other end: what is to be sent, and the replies.
//!
//! Both directions move at once. A server, or a proxy before it, that takes no more requests as long as nobody takes its
//! replies would otherwise wait for us for ever, and we for it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};
use tokio_util::{bytes::BufMut, io::poll_read_buf};

use super::{
    dial::Stream,
    error::{self, Broken},
    request::Requests,
    resp::{Items, Replies},
    tracking::Changes,
};
use crate::model::fault::Fault;

/// Room for what comes in one go.
const ROOM: usize = 64 * 1024;

/// One connection's bytes in both directions.
pub struct Wire {
    stream: Box<dyn Stream>,
    unsent: Vec<u8>,
    /// How much of it has been sent.
    sent: usize,
    /// Whether what was sent may still lie in a buffer of the stream.
    is_flushed: bool,
    replies: Replies,
    /// Replies that are still to come.
    awaited: usize,
    /// Longest time without a reply.
    timeout: Duration,
}

impl Wire {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(stream: Box<dyn Stream>, timeout: Duration) -> Wire {
        let (unsent, replies) = Default::default();
        Wire { stream, unsent, sent: 0, is_flushed: true, replies, awaited: 0, timeout }
    }

    /// Whether every reply was received, so that the next one belongs to the next request.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.awaited == 0
    }

    /// Requests go off, as much of them as there is room for; the rest while replies are received.
    pub async fn send(&mut self, requests: &Requests) {
        self.unsent.extend_from_slice(requests.bytes());
        self.awaited += requests.count();
        poll_fn(|context| {
            // Whatever is wrong shows again when the replies are received.
            _ = self.poll_send(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits until the next replies have all come. Those before are gone.
    ///
    /// # Errors
    /// They do not come in time, or not at all, or are no replies.
    pub async fn receive(&mut self, count: usize) -> Result<(), Fault> {
        self.clear();
        let until = self.deadline();
        let received = self.receive_until(count, until).await;
        received.unwrap_or_else(|| Err(self.late()))
    }

    /// Waits for them until a moment; those before are still there. `None` is to wait on.
    ///
    /// # Errors
    /// See [`Wire::receive`].
    pub async fn receive_until(&mut self, count: usize, until: Instant) -> Option<Result<(), Fault>> {
        let received = timeout_at(until, poll_fn(|context| self.poll_receive(context, count))).await.ok()?;
        if received.is_ok() {
            self.awaited -= count;
        }
        Some(received.map_err(|broken| error::of_connection(&broken)))
    }

    /// When replies must have come that are waited for from now on.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Replies have not come in time.
    #[must_use]
    pub fn late(&self) -> Fault {
        error::no_answer(self.timeout)
    }

    /// The replies that were received last have been read.
    pub fn clear(&mut self) {
        self.replies.clear();
    }

    /// The replies that were received last.
    #[must_use]
    pub fn replies(&self) -> Items<'_> {
        self.replies.iter()
    }

    /// Keys that have changed, as far as that was told since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        self.replies.take_changes()
    }

    fn poll_receive(&mut self, context: &mut Context<'_>, count: usize) -> Poll<Result<(), Broken>> {
        loop {
            _ = self.poll_send(context)?;
            if self.replies.have(count)? {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = self.replies.buffer().limit(ROOM);
            buffer.get_mut().reserve(ROOM);
            let read = std::task::ready!(poll_read_buf(Pin::new(&mut *self.stream), context, &mut buffer))?;
            if read == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut *self.stream);
        while self.sent < self.unsent.len() {
            match std::task::ready!(stream.as_mut().poll_write(context, &self.unsent[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
            self.is_flushed = false;
        }
        self.unsent.clear();
        self.sent = 0;
        if !self.is_flushed {
            std::task::ready!(stream.poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}
