//! A stream whose errors say what is wrong with TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::{AlertDescription as Alert, CertificateError, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client;

use crate::connect_string::HostPort;
use crate::io::transport::Transport;
use crate::tls_error::{TlsError, TlsFault};

/// An encrypted stream. With TLS 1.3 a server may refuse a client after the handshake, so that
/// reading, too, can fail for such a reason.
pub(super) struct TlsStream {
    inner: client::TlsStream<Box<dyn Transport>>,
    host: HostPort,
}

impl TlsStream {
    pub(super) fn new(inner: client::TlsStream<Box<dyn Transport>>, host: HostPort) -> Self {
        Self { inner, host }
    }

    fn explain<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        polled.map_err(|error| explained(error, &self.host))
    }
}

/// Takes what rustls says out of an error; others stay as they are.
pub(super) fn explained(error: io::Error, host: &HostPort) -> io::Error {
    let said = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
    match said {
        Some(said) => TlsError::new(fault(&said)).with_host(host).caused_by(said).into(),
        None => error,
    }
}

fn fault(said: &Error) -> TlsFault {
    use CertificateError as Bad;

    match said {
        Error::InvalidCertificate(bad) => match bad {
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsFault::WrongName,
            Bad::UnknownIssuer => TlsFault::UnknownIssuer,
            Bad::Expired | Bad::ExpiredContext { .. } => TlsFault::Expired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsFault::NotYetValid,
            Bad::Revoked => TlsFault::Revoked,
            _ => TlsFault::BadCertificate,
        },
        Error::AlertReceived(Alert::ProtocolVersion | Alert::HandshakeFailure) => {
            TlsFault::Handshake
        }
        Error::AlertReceived(_) => TlsFault::Refused,
        _ => TlsFault::Handshake,
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, to);
        self.explain(polled)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, from);
        self.explain(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.explain(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.explain(polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rustls_says_is_the_source_and_other_errors_stay() {
        let host = HostPort::new("zk", 1);
        let said = Error::InvalidCertificate(CertificateError::Expired);
        let error = explained(io::Error::new(io::ErrorKind::InvalidData, said), &host);
        let tls = TlsError::of(&error).unwrap();
        assert_eq!(tls.fault(), TlsFault::Expired);
        let source = std::error::Error::source(&tls).unwrap();
        assert!(source.downcast_ref::<Error>().is_some());
        let refused = explained(io::ErrorKind::ConnectionRefused.into(), &host);
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(TlsError::of(&refused).is_none());
    }
}
