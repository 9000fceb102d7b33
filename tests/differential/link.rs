//! One connection, without a client: frames out, frames in.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long a server may be silent before that is noted as its answer.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) struct Link {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Received {
    /// A frame, without its length.
    Frame(Vec<u8>),
    /// The end of the connection, with what was left over.
    Closed(Vec<u8>),
    /// Nothing, for a long time.
    Silence,
}

impl Link {
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes; that the connection is gone is noticed when it is read.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn receive(&mut self) -> Received {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(frame) = self.take_frame() {
                return Received::Frame(frame);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Received::Closed(std::mem::take(&mut self.unread)),
                Ok(len) => self.unread.extend_from_slice(&buffer[..len]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Received::Silence,
                    ErrorKind::Interrupted => {}
                    _ => return Received::Closed(std::mem::take(&mut self.unread)),
                },
            }
        }
    }

    /// Everything until the end of the connection, whatever it is.
    pub(crate) fn receive_all(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.unread);
        let _ = self.stream.read_to_end(&mut all);
        all
    }

    fn take_frame(&mut self) -> Option<Vec<u8>> {
        let len = self.unread.first_chunk::<4>()?;
        let end = 4 + usize::try_from(i32::from_be_bytes(*len)).expect("a server's length");
        (self.unread.len() >= end).then(|| {
            let frame = self.unread[4..end].to_vec();
            self.unread.drain(..end);
            frame
        })
    }
}
