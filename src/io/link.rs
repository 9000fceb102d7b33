//! The connection of the moment: none, one being made, or one that stands.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::framing::FrameReader;
use super::transport::{Connecting, Transport};

/// How much memory an idle connection keeps for what it writes.
const WRITE_LEN_KEPT: usize = 16 * 1024;

/// The connection of the moment.
pub(super) enum Link {
    Down,
    Connecting(Connecting),
    Up(Up),
}

/// A connection that stands.
pub(super) struct Up {
    transport: Box<dyn Transport>,
    frames: FrameReader,
    /// What was not written yet.
    unwritten: BytesMut,
    /// Whether the stream may still hold back what was written, as TLS does.
    is_unflushed: bool,
}

/// What a connection has to tell.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// It stands now.
    Connected,
    /// Bytes came in; take them by [`Link::next_frame`].
    Readable,
    /// It could not be made, or broke.
    Broken(io::Error),
}

impl Link {
    /// Queues bytes; they are written whenever the link is polled.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if let Self::Up(up) = self {
            up.unwritten.extend_from_slice(bytes);
        }
    }

    /// The next whole frame that has come in.
    ///
    /// # Errors
    /// A length that no frame has.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Self::Up(up) = self else { return Ok(None) };
        match up.frames.next() {
            Ok(None) => {
                up.frames.rest();
                Ok(None)
            }
            Ok(frame) => Ok(frame),
            Err(bad) => Err(io::Error::new(io::ErrorKind::InvalidData, bad)),
        }
    }

    /// Writes what can be written, then waits for something to tell.
    ///
    /// # Cancel safety
    /// Nothing is lost: all progress is in `self`.
    pub(super) async fn next(&mut self) -> LinkEvent {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        match self {
            Self::Down => Poll::Pending,
            Self::Connecting(connecting) => match ready!(connecting.as_mut().poll(cx)) {
                Ok(transport) => {
                    *self = Self::Up(Up::new(transport));
                    Poll::Ready(LinkEvent::Connected)
                }
                Err(error) => {
                    *self = Self::Down;
                    Poll::Ready(LinkEvent::Broken(error))
                }
            },
            Self::Up(up) => match ready!(up.poll(cx)) {
                Ok(()) => Poll::Ready(LinkEvent::Readable),
                Err(error) => {
                    *self = Self::Down;
                    Poll::Ready(LinkEvent::Broken(error))
                }
            },
        }
    }
}

impl Up {
    fn new(transport: Box<dyn Transport>) -> Self {
        let (frames, unwritten) = (FrameReader::default(), BytesMut::new());
        Self { transport, frames, unwritten, is_unflushed: false }
    }

    /// Writes all it can; ready once something was read.
    ///
    /// A server that closes the connection may have answered before, and say why: so what has
    /// come in is read before a failure to write counts.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.poll_write(cx);
        let read = pin!(self.transport.read_buf(self.frames.spare()));
        match (read.poll(cx), written) {
            (Poll::Ready(Ok(1..)), _) => Poll::Ready(Ok(())),
            (_, Err(error)) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(0)), _) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (Poll::Pending, _) => Poll::Pending,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match Pin::new(&mut *self.transport).poll_write(cx, &self.unwritten)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.unwritten.advance(written),
                Poll::Pending => return Ok(()),
            }
            self.is_unflushed = true;
        }
        if self.unwritten.capacity() > WRITE_LEN_KEPT {
            self.unwritten = BytesMut::new();
        }
        // A flush that is not done yet goes on at the next poll, whether or not more is written.
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut *self.transport).poll_flush(cx)
        {
            flushed?;
            self.is_unflushed = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;

    /// Has an answer to give, and takes nothing.
    struct Closed(&'static [u8]);

    impl AsyncRead for Closed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Closed {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_was_answered_before_a_write_failed_is_read() {
        let mut link = Link::Up(Up::new(Box::new(Closed(&[0, 0, 0, 1, 7]))));
        link.send(&[1, 2, 3]);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(link.poll_next(&mut cx), Poll::Ready(LinkEvent::Readable)));
        assert_eq!(link.next_frame().unwrap().unwrap()[..], [7]);
        let broken = link.poll_next(&mut cx);
        let Poll::Ready(LinkEvent::Broken(error)) = broken else { panic!("{broken:?}") };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
