//! The task of one connection: read what is there, step the server, write what came of it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::engine::{Engine, Shared};
use super::files;
use super::framing::{self, Next};
use super::late::Late;
use super::ports::End;
use crate::election::mesh;
use crate::node::input::{ConnId, Input, LinkKind};
use crate::zab::stream;

/// How many bytes are read at once.
const READ_LEN: usize = 64 * 1024;

/// How long a connection that the server has closed may still be read. Closing a socket with unread
/// bytes resets it, and the client would lose the answer that told it why.
const LINGER: Duration = Duration::from_secs(1);

/// Buffers for whichever connection of this thread is being polled, so that one which is not
/// needs none.
struct Scratch {
    input: Box<[u8]>,
    output: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; READ_LEN].into_boxed_slice(),
        output: Vec::new(),
    });
}

/// One connection. As a future it ends when the connection does.
pub(super) struct Connection<T> {
    shared: Arc<Shared>,
    conn: ConnId,
    transport: T,
    talk: Talk,
    /// The beginning of a frame whose end has not arrived.
    partial: Vec<u8>,
    /// What the client was too slow to take; nothing is read before it has.
    backlog: Vec<u8>,
    /// What is sent later than it would be, by the wish of a test.
    late: Late,
    /// Whether the transport may keep to itself some of what it has taken.
    unflushed: bool,
    /// How far its end has come.
    state: State,
}

/// How bytes become frames.
enum Talk {
    /// A client's. As long as nothing has arrived, a four-letter word may.
    Client { fresh: bool },
    /// Another server's, in an election; the first of some are greetings.
    Election { greets: bool },
    /// A leader's, or a learner's.
    Quorum(stream::Reader),
}

enum State {
    Open,
    /// The server has closed the connection, and something may still have to be sent.
    Closing,
    /// Everything was sent; what the client still sends is thrown away until this is over.
    Lingering(Pin<Box<Sleep>>),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Takes over a transport under a number that the engine gave.
    pub(super) fn new(shared: Arc<Shared>, conn: ConnId, transport: T) -> Self {
        Self {
            shared,
            conn,
            transport,
            talk: Talk::Client { fresh: true },
            partial: Vec::new(),
            backlog: Vec::new(),
            late: Late::default(),
            unflushed: false,
            state: State::Open,
        }
    }

    /// Takes over a transport to another server.
    pub(super) fn link(
        shared: Arc<Shared>,
        conn: ConnId,
        kind: LinkKind,
        greets: bool,
        transport: T,
    ) -> Self {
        let talk = match kind {
            LinkKind::Election => Talk::Election { greets },
            LinkKind::Quorum => Talk::Quorum(stream::Reader::default()),
        };
        Self { talk, ..Self::new(shared, conn, transport) }
    }

    fn drive(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<()>> {
        scratch.output.clear();
        let mut turn = self.collect(context, &mut scratch.output);
        loop {
            if turn == Turn::Cut {
                return Poll::Ready(Ok(()));
            }
            let was_behind = !self.backlog.is_empty();
            self.late.pass(context, &mut scratch.output);
            ready!(self.flush(context, &mut scratch.output))?;
            if was_behind {
                // What was left in the port meanwhile has rung its bell already.
                turn = self.collect(context, &mut scratch.output);
                continue;
            }
            match turn {
                Turn::Close if !self.late.is_empty() => return Poll::Pending,
                Turn::Close => return self.linger(context, scratch),
                Turn::Wait => return Poll::Pending,
                Turn::Read | Turn::Cut => {}
            }
            let mut input = ReadBuf::new(&mut scratch.input);
            ready!(Pin::new(&mut self.transport).poll_read(context, &mut input))?;
            let len = input.filled().len();
            if len == 0 {
                self.shared.lost(self.conn);
                return Poll::Ready(Ok(()));
            }
            turn = self.take_in(&scratch.input[..len], &mut scratch.output);
        }
    }

    /// Takes what other connections have left in the port, unless the client is still busy with
    /// what it was sent before.
    fn collect(&mut self, context: &Context<'_>, output: &mut Vec<u8>) -> Turn {
        let mut engine = self.shared.lock();
        if engine.poll_paused(context) {
            return Turn::Wait;
        }
        self.late.by = engine.reply_delay;
        if let Some(port) = engine.port(self.conn) {
            port.register(context);
            if self.backlog.is_empty() && !port.bytes.is_empty() {
                output.append(&mut std::mem::take(&mut port.bytes));
            }
        }
        self.state.turn(self.conn, &mut engine)
    }

    /// Steps the server through every frame that is complete.
    fn take_in(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Turn {
        let mut engine = self.shared.lock();
        engine.read_clock();
        self.late.by = engine.reply_delay;
        if self.partial.is_empty() {
            let rest = frames(&mut engine, self.conn, &mut self.talk, bytes);
            self.partial = rest.to_vec();
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let rest = frames(&mut engine, self.conn, &mut self.talk, &partial).len();
            if rest > 0 {
                partial.drain(..partial.len() - rest);
                self.partial = partial;
            }
        }
        if let Some(port) = engine.port(self.conn) {
            output.append(&mut port.bytes);
        }
        self.shared.settle(&mut engine, Some((self.conn, output)));
        self.state.turn(self.conn, &mut engine)
    }

    /// Writes everything; what the transport does not take is kept.
    fn flush(&mut self, context: &mut Context<'_>, output: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        if !self.backlog.is_empty() {
            self.backlog.append(output);
        }
        let kept = !self.backlog.is_empty();
        let bytes = if kept { &self.backlog } else { &*output };
        let outcome = loop {
            if sent == bytes.len() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.transport).poll_write(context, &bytes[sent..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => sent += len,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if kept && outcome.is_ready() {
            self.backlog = Vec::new();
        } else if kept {
            self.backlog.drain(..sent);
        } else {
            self.backlog = output[sent..].to_vec();
        }
        output.clear();
        ready!(outcome)?;
        // Encryption keeps what the socket did not take; of a socket itself there is nothing to do.
        self.unflushed |= sent > 0;
        if self.unflushed {
            ready!(Pin::new(&mut self.transport).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the client's reading at once, and its writing when it notices or when time is up.
    fn linger(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<()>> {
        if matches!(self.state, State::Closing) {
            self.state = State::Lingering(Box::pin(sleep(LINGER)));
        }
        ready!(Pin::new(&mut self.transport).poll_shutdown(context))?;
        loop {
            let mut input = ReadBuf::new(&mut scratch.input);
            let read = Pin::new(&mut self.transport).poll_read(context, &mut input);
            match read {
                Poll::Ready(Ok(())) if !input.filled().is_empty() => {}
                Poll::Ready(outcome) => return Poll::Ready(outcome),
                Poll::Pending => break,
            }
        }
        match &mut self.state {
            State::Lingering(deadline) => deadline.as_mut().poll(context).map(Ok),
            State::Open | State::Closing => Poll::Ready(Ok(())),
        }
    }
}

/// What a connection does next, after everything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Read more.
    Read,
    /// Wait: too much waits for the disk.
    Wait,
    /// Close.
    Close,
    /// Close without sending anything.
    Cut,
}

impl State {
    /// What to do next; once the server has ended the connection, its port goes to another.
    fn turn(&mut self, conn: ConnId, engine: &mut Engine) -> Turn {
        if !matches!(self, Self::Open) {
            return Turn::Close;
        }
        match engine.port(conn).map(|port| port.end) {
            None => Turn::Cut,
            Some(None) if engine.may_read(conn) => Turn::Read,
            Some(None) => Turn::Wait,
            Some(Some(End::Cut)) => {
                engine.release(conn);
                Turn::Cut
            }
            Some(Some(End::Close)) => {
                engine.release(conn);
                *self = Self::Closing;
                Turn::Close
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for Connection<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let outcome = SCRATCH.with_borrow_mut(|scratch| this.drive(context, scratch));
        outcome.map(|ended| {
            if let Err(error) = ended {
                tracing::trace!(conn = ?this.conn, %error, "connection lost");
                this.shared.lost(this.conn);
            }
        })
    }
}

/// Gives the server one frame after the other; returns what is left over.
fn frames<'a>(engine: &mut Engine, conn: ConnId, talk: &mut Talk, bytes: &'a [u8]) -> &'a [u8] {
    match talk {
        Talk::Client { fresh } => client_frames(engine, conn, fresh, bytes),
        Talk::Election { greets } => messages(engine, conn, greets, bytes),
        Talk::Quorum(reader) => packets(engine, conn, reader, bytes),
    }
}

fn messages<'a>(
    engine: &mut Engine,
    link: ConnId,
    greets: &mut bool,
    mut bytes: &'a [u8],
) -> &'a [u8] {
    loop {
        match mesh::next(bytes, *greets) {
            mesh::Next::Message(range, used) => {
                *greets = false;
                engine.input(Input::LinkMessage { link, bytes: &bytes[range] });
                bytes = &bytes[used..];
            }
            mesh::Next::Incomplete => return bytes,
            mesh::Next::Broken => {
                tracing::warn!(?link, "no server would send that");
                engine.close(link);
                return &[];
            }
        }
    }
}

fn packets<'a>(
    engine: &mut Engine,
    link: ConnId,
    reader: &mut stream::Reader,
    mut bytes: &'a [u8],
) -> &'a [u8] {
    loop {
        match reader.next(bytes) {
            stream::Next::Packet(range) => {
                let used = range.end;
                engine.input(Input::LinkPacket { link, bytes: &bytes[range] });
                bytes = &bytes[used..];
            }
            stream::Next::Snapshot(range, used) => {
                engine.input(Input::LinkSnapshot { link, bytes: &bytes[range] });
                bytes = &bytes[used..];
            }
            stream::Next::Incomplete => return bytes,
            stream::Next::Broken(why) => {
                tracing::warn!(?link, why, "no server would send that");
                engine.close(link);
                return &[];
            }
        }
    }
}

fn client_frames<'a>(
    engine: &mut Engine,
    conn: ConnId,
    fresh: &mut bool,
    mut bytes: &'a [u8],
) -> &'a [u8] {
    let len_max = engine.node.settings.rules.frame_len_max;
    loop {
        match framing::next(bytes, *fresh, len_max) {
            Next::Frame(frame, rest) => {
                *fresh = false;
                engine.input(Input::Frame { conn, bytes: frame });
                bytes = rest;
            }
            Next::Word(word) => {
                let sizes = match word.wants_sizes() {
                    true => files::sizes(&engine.node.settings),
                    false => (0, 0),
                };
                engine.input(Input::FourLetterWord { conn, word, sizes });
                return &[];
            }
            Next::Incomplete => return bytes,
            Next::Broken => {
                engine.close(conn);
                return &[];
            }
        }
    }
}
