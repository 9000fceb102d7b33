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
                    let frames = FrameReader::default();
                    let unwritten = BytesMut::new();
                    *self = Self::Up(Up { transport, frames, unwritten, is_unflushed: false });
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
    /// Writes all it can; ready once something was read.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx)?;
        let read = pin!(self.transport.read_buf(self.frames.spare()));
        match ready!(read.poll(cx))? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
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
