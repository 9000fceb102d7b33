//! A network cable that a program can pull out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use znode::{Connecting, Connector, HostPort, TcpConnector, Transport};

/// Connects over TCP until it is pulled out; from then on nothing gets through, and nobody is
/// told.
#[derive(Debug, Clone, Default)]
pub struct Cable {
    is_out: Arc<AtomicBool>,
}

impl Cable {
    /// Pulls the cable out.
    pub fn pull_out(&self) {
        self.is_out.store(true, Ordering::Release);
    }

    fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Acquire)
    }
}

impl Connector for Cable {
    fn connect(&self, host: &HostPort) -> Connecting {
        let cable = self.clone();
        let connecting = TcpConnector.connect(host);
        Box::pin(async move {
            if cable.is_out() {
                std::future::pending::<()>().await;
            }
            let wire = connecting.await?;
            Ok(Box::new(Plugged { wire, cable }) as Box<dyn Transport>)
        })
    }
}

/// A connection that goes through the cable.
struct Plugged {
    wire: Box<dyn Transport>,
    cable: Cable,
}

impl AsyncRead for Plugged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cable.is_out() {
            return Poll::Pending;
        }
        Pin::new(&mut *self.wire).poll_read(cx, into)
    }
}

impl AsyncWrite for Plugged {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cable.is_out() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut *self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire).poll_shutdown(cx)
    }
}
