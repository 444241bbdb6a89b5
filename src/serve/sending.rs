//! A connection to a client that may not take what it asked for: for how long that is waited for.
//!
//! What is on its way to a client stays in memory until the client has taken it, and each snapshot has a text of its own:
//! many clients that stop reading would fill the memory with old ones.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A connection whose other end must take what is sent.
pub struct Sending<S> {
    stream: S,
    patience: Duration,
    /// Whether something waits to be taken.
    waits: Arc<AtomicBool>,
    /// Runs while something does.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Sending<S> {
    /// Over this stream. The client has so long from when it takes no more until it has taken all that was to be sent at
    /// that moment; `waits` tells whether something is.
    pub fn new(stream: S, patience: Duration, waits: Arc<AtomicBool>) -> Sending<S> {
        Sending { stream, patience, waits, until: None }
    }

    fn all_is_taken(&mut self) {
        self.until = None;
        self.waits.store(false, Ordering::Release);
    }

    /// The client does not take more for now.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.waits.store(true, Ordering::Release);
        let patience = self.patience;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(patience)));
        until
            .as_mut()
            .poll(context)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the answer")))
    }

    /// What came of writing so many bytes.
    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        of: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if bytes >= of => self.all_is_taken(),
            Poll::Pending => return self.wait(context),
            _ => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sending<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sending<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, bytes.len(), context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(written, parts.iter().map(|part| part.len()).sum(), context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.wait(context),
            Poll::Ready(flushed) => {
                self.all_is_taken();
                Poll::Ready(flushed)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Pending => self.wait(context),
            closed => closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn sending(
        patience: Duration,
    ) -> (Sending<impl AsyncRead + AsyncWrite>, Arc<AtomicBool>, tokio::io::DuplexStream) {
        let (stream, client) = duplex(64);
        let waits = Arc::default();
        (Sending::new(stream, patience, Arc::clone(&waits)), waits, client)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut sending, waits, mut client) = sending(Duration::from_millis(50));
        let error = sending.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(waits.load(Ordering::Acquire));
        // A little now and then does not change that.
        client.read_exact(&mut [0; 64]).await.unwrap();
        assert_eq!(sending.write_all(&[0; 1000]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_takes_it_all_is_waited_for() {
        let (mut sending, waits, mut client) = sending(Duration::from_secs(3600));
        let sent = tokio::spawn(async move {
            sending.write_all(&[7; 1000]).await.unwrap();
            sending.flush().await.unwrap();
            sending
        });
        while !waits.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let mut taken = [0; 1000];
        client.read_exact(&mut taken).await.unwrap();
        assert_eq!(taken, [7; 1000]);
        let sending = sent.await.unwrap();
        assert!(!waits.load(Ordering::Acquire) && sending.until.is_none());
    }
}
