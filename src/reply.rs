//! The future of an operation that is in line already.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::chroot::Chroot;
use crate::codec::Codec;
use crate::error::Error;
use crate::io::deadline::Deadline;
use crate::proto::{Decode, Decoder, ErrorCode};
use crate::session::{Answer, Cause, Ending, Failure};
use crate::watcher::Armed;

/// The answer to an operation.
///
/// The operation took its place in line when the method was called that returned this; it does
/// not wait to be polled.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use std::time::Duration;
/// use znode::Reply;
///
/// // All are in line now, so this takes one round trip.
/// let reads = ["/a", "/b", "/c"].map(|path| client.get_data(path));
/// for read in reads {
///     let (data, _) = read.await?;
///     println!("{data:?}");
/// }
/// let patient: Reply<_> = client.get_children("/").timeout(Duration::from_secs(1));
/// let children = patient.await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it does not withdraw the request, which takes effect all the same. A watch that the
/// request leaves is removed again.
#[must_use = "the operation is under way, but its failure would go unnoticed"]
pub struct Reply<T> {
    state: State<T>,
    /// Until when the caller waits; for ever, unless it says otherwise.
    deadline: Option<Deadline>,
}

enum State<T> {
    /// Nothing was sent, or the result was handed out.
    Refused(Option<Error>),
    Waiting(Waiting<T>),
}

struct Waiting<T> {
    answer: oneshot::Receiver<Result<Answer, Failure>>,
    call: Call,
    decode: DecodeFn<T>,
}

/// Makes the result from an answer.
pub(crate) type DecodeFn<T> = fn(&mut Call, &Answer) -> Result<T, Error>;

/// What is known of an operation while its answer is awaited.
pub(crate) struct Call {
    /// The operation, named as its method is.
    pub(crate) op: &'static str,
    /// The path that it is about, as the caller gave it.
    pub(crate) path: Option<Box<str>>,
    /// What to take off the paths of the answer.
    pub(crate) chroot: Chroot,
    /// The watcher that it brings with it.
    pub(crate) armed: Option<Armed>,
    /// Of a transaction: the path of each of its operations.
    pub(crate) op_paths: Vec<String>,
    /// What has become of the data in the answer.
    pub(crate) codec: Codec,
}

impl Call {
    pub(crate) fn new(op: &'static str, path: Option<&str>, chroot: &Chroot) -> Self {
        let (path, chroot) = (path.map(Box::from), chroot.clone());
        Self { op, path, chroot, armed: None, op_paths: Vec::new(), codec: Codec::Plain }
    }

    /// Passes on an answer that is no error.
    pub(crate) fn accept<'a>(&self, answer: &'a Answer) -> Result<Decoder<'a>, Error> {
        match answer.code {
            ErrorCode::Ok => Ok(Decoder::new(&answer.body)),
            code => Err(self.rejected(code)),
        }
    }

    /// Reads the record of an answer that is no error.
    pub(crate) fn read<'a, R: Decode<'a>>(&self, answer: &'a Answer) -> Result<R, Error> {
        let mut from = self.accept(answer)?;
        from.read().map_err(|error| self.name(Error::undecodable(self.op, error)))
    }

    /// Data of the answer, as the caller has written it.
    pub(crate) fn decoded(&self, data: Bytes) -> Result<Bytes, Error> {
        self.codec.decode(data).map_err(|error| self.name(Error::invalid_data(self.op, error)))
    }

    pub(crate) fn rejected(&self, code: ErrorCode) -> Error {
        self.name(Error::rejected(self.op, code))
    }

    /// Adds what the operation was about.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.with_path(self.path.as_deref())
    }

    /// The watcher, of an operation that has brought one.
    pub(crate) fn watcher(&mut self) -> Armed {
        self.armed.take().expect("the operation was made with a watcher, and is answered once")
    }

    /// A path of the answer, as the caller knows it.
    pub(crate) fn strip(&self, path: &str) -> Result<String, Error> {
        self.chroot.strip(path).map(str::to_owned).ok_or_else(|| {
            let what = format!("the server answered with {path:?}, which is not below the chroot");
            self.name(Error::unexpected(self.op, what.into()))
        })
    }
}

impl<T> Reply<T> {
    pub(crate) fn refused(error: Error) -> Self {
        Self { state: State::Refused(Some(error)), deadline: None }
    }

    pub(crate) fn waiting(
        answer: oneshot::Receiver<Result<Answer, Failure>>,
        call: Call,
        decode: DecodeFn<T>,
        timeout: Option<Duration>,
    ) -> Self {
        let state = State::Waiting(Waiting { answer, call, decode });
        Self { state, deadline: timeout.and_then(Deadline::after) }
    }

    /// Waits no longer than `timeout` from now, instead of what the handle says; see
    /// [`Client::with_deadline`](crate::Client::with_deadline).
    ///
    /// Giving up does not withdraw the request: it is in line, or on the wire, and takes effect.
    /// So the error is `Timeout` and its outcome `Unknown`, also if the request was not written
    /// yet: were it taken out of the line, what was asked after it would take effect without it.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use std::time::Duration;
    ///
    /// let (data, _) = client.get_data("/a").timeout(Duration::from_millis(500)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it is polled outside a tokio runtime.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if matches!(self.state, State::Waiting(_)) {
            self.deadline = Deadline::after(timeout);
        }
        self
    }
}

// Nothing in it is ever pinned: `T` only appears as the result of a function pointer.
impl<T> Unpin for Reply<T> {}

impl<T> Future for Reply<T> {
    type Output = Result<T, Error>;

    /// # Panics
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, deadline } = &mut *self;
        let result = match state {
            State::Refused(error) => {
                Err(error.take().expect("a reply is polled until it is ready"))
            }
            State::Waiting(waiting) => match (waiting.poll_result(cx), deadline) {
                (Poll::Ready(result), _) => result,
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending, Some(deadline)) => {
                    ready!(deadline.poll_passed(cx));
                    Err(waiting.call.name(Error::timeout(waiting.call.op)))
                }
            },
        };
        // What the request has brought with it goes, as the watcher of a read that is given up.
        *state = State::Refused(None);
        Poll::Ready(result)
    }
}

impl<T> Waiting<T> {
    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let Self { answer, call, decode } = self;
        // A runtime that shuts down drops the send task, and the answer with it.
        let gone = Failure { cause: Cause::Ended(Ending::Closed), sent: true };
        Poll::Ready(match ready!(Pin::new(answer).poll(cx)).unwrap_or(Err(gone)) {
            Ok(answer) => decode(call, &answer),
            Err(failure) => Err(call.name(Error::failed(call.op, failure))),
        })
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            State::Waiting(waiting) => f
                .debug_struct("Waiting")
                .field("op", &waiting.call.op)
                .field("path", &waiting.call.path)
                .finish(),
        }
    }
}
