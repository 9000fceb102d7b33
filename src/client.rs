//! The handle that everything is asked of.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::acl::Acl;
use crate::chroot::Chroot;
use crate::codec::Codec;
use crate::error::Error;
use crate::io::shared::Shared;
use crate::options::{ConnectOptions, SessionTicket};
use crate::path::Path;
use crate::proto::{FRAME_LEN_MAX, OpCode, RequestHeader};
use crate::session::{Ending, WatchEffect};

/// How many bytes a request's record may have: a frame, less its header.
pub(crate) const BODY_LEN_MAX: usize =
    FRAME_LEN_MAX - <RequestHeader as crate::proto::Decode<'_>>::MIN_LEN;

/// A handle to one session with an ensemble. Cloning it is cheap and gives the same session.
///
/// Operations take their place in line when they are called, not when they are polled, and the
/// server executes those of one session in that order. The futures may be awaited in any order,
/// or dropped: what is in line stays there.
///
/// When the last handle, view or watcher of a session is dropped, the session is closed in the
/// background. [`close`](Self::close) does it now and tells when it is done;
/// [`detach`](Self::detach) leaves the session alive.
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use znode::{Client, CreateMode};
///
/// let client = Client::connect("zk1:2181,zk2:2181").await?;
/// let same = client.clone();
/// let above = client.create("/jobs", "", CreateMode::Persistent);
/// let below = same.create("/jobs/1", "", CreateMode::Persistent); // in line behind it
/// above.await?;
/// below.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) handle: Arc<Handle>,
    pub(crate) chroot: Chroot,
    pub(crate) default_acl: Arc<[Acl]>,
    /// How long each request of this handle is waited for.
    pub(crate) deadline: Option<Duration>,
    /// What becomes of the data of this handle.
    pub(crate) codec: Codec,
}

/// What all handles of a session hold; closes the session when the last one lets go.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Puts the close of the session in line. Nobody waits for its answer: the state tells.
    fn close(&self) {
        let (op, none) = (OpCode::CloseSession, WatchEffect::None);
        drop(self.shared.submissions.request(op, none, None, BODY_LEN_MAX, None, |_| {}));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Client {
    /// Connects to an ensemble and opens a session, with the defaults of [`ConnectOptions`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let refused = znode::Client::connect("not a host").await.unwrap_err();
    /// assert_eq!(refused.kind(), znode::ErrorKind::InvalidConnectString);
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidConnectString`, or `ConnectTimeout` when no server has confirmed the session within
    /// 10 seconds.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that was opened is closed again.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and IO enabled.
    pub async fn connect(connect_string: &str) -> Result<Self, Error> {
        ConnectOptions::new().connect(connect_string).await
    }

    pub(crate) fn new(shared: Arc<Shared>, chroot: Chroot) -> Self {
        let default_acl = Arc::from([Acl::open()]);
        let (deadline, codec) = (None, Codec::Plain);
        Self { handle: Arc::new(Handle { shared }), chroot, default_acl, deadline, codec }
    }

    /// The path below which this handle lives.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let billing = client.with_chroot("/billing")?;
    /// assert_eq!(billing.chroot().as_str(), "/billing");
    /// # Ok(())
    /// # }
    /// ```
    pub fn chroot(&self) -> &Path {
        self.chroot.path()
    }

    /// A view of the same session that lives at `below`, a path within this handle's own chroot.
    /// The node need not exist; it is not created.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let billing = client.with_chroot("/billing")?;
    /// billing.get_data("/rate").await?; // "/billing/rate" to everybody else
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidPath`.
    pub fn with_chroot(&self, below: &str) -> Result<Self, Error> {
        let chroot = self.chroot.join(below);
        let chroot = chroot.map_err(|invalid| Error::invalid_path("with_chroot", invalid))?;
        Ok(Self { chroot, ..self.clone() })
    }

    /// A view of the same session that creates nodes with `acl` where nothing else is said.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{Acl, CreateMode};
    ///
    /// let ours = client.with_default_acl(vec![Acl::creator_all()]);
    /// ours.create("/secret", "", CreateMode::Persistent).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_default_acl(&self, acl: Vec<Acl>) -> Self {
        Self { default_acl: acl.into(), ..self.clone() }
    }

    /// A view of the same session that waits for each of its requests no longer than `timeout`
    /// from the call; [`Reply::timeout`](crate::Reply::timeout) says what giving up means. What
    /// is made of several requests gives each of them that long; wherever it must not stop half
    /// way, as where it cleans up, it waits as long as it takes.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let hasty = client.with_deadline(std::time::Duration::from_millis(200));
    /// let (rate, _) = hasty.get_data("/rate").await?;
    /// hasty.without_deadline().delete_all("/jobs/done").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_deadline(&self, timeout: Duration) -> Self {
        Self { deadline: Some(timeout), ..self.clone() }
    }

    /// A view of the same session that waits as long as it takes.
    #[must_use]
    pub fn without_deadline(&self) -> Self {
        Self { deadline: None, ..self.clone() }
    }

    /// A view of the same session that writes and reads data as it is, whatever this handle does
    /// with it (feature `gzip`).
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (stored, _) = client.without_compression().get_data("/rate").await?;
    /// println!("{} bytes are stored", stored.len());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn without_compression(&self) -> Self {
        self.plain()
    }

    /// A number drawn from this session's seed, for names that must not meet. Only as
    /// unpredictable as the seed is; see [`ConnectOptions::seed`].
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let worker = format!("/workers/{:016x}", client.random());
    /// client.create(&worker, "", znode::CreateMode::Ephemeral).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn random(&self) -> u64 {
        self.shared().random()
    }

    /// Closes the session: its ephemeral nodes are deleted, its watches go, and every later
    /// operation of any handle to it fails with `Closed`. Operations made before are carried out.
    ///
    /// Closing a session that is over already is no error.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `ConnectionLoss` if the server could not be told: the session will expire. This handle is
    /// closed all the same.
    ///
    /// # Cancel safety
    /// The request is in line once this is called; dropping the future does not withdraw it.
    pub fn close(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.handle.close();
        let shared = Arc::clone(&self.handle.shared);
        async move {
            shared.ended().await;
            match shared.ending() {
                Some(Ending::LeftToExpire) => Err(Error::close_not_told()),
                _ => Ok(()),
            }
        }
    }

    /// Stops this client, every handle of it, and leaves the session alive at the server until
    /// its timeout; [`ConnectOptions::resume`] takes it up again. Operations made before are
    /// completed first.
    ///
    /// Its ephemeral nodes stay, those of locks and of whoever waits for one among them: from here
    /// on nobody can delete them but who resumes the session. So release first what is not to be
    /// handed over.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::ConnectOptions;
    ///
    /// let ticket = client.detach().await?;
    /// let again = ConnectOptions::new().resume(ticket).connect("zk1:2181").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// How the session was over already, or ended meanwhile.
    ///
    /// # Cancel safety
    /// The request is in line once this is called; dropping the future does not withdraw it.
    pub fn detach(&self) -> impl Future<Output = Result<SessionTicket, Error>> + Send + use<> {
        self.shared().submissions.detach();
        let shared = Arc::clone(&self.handle.shared);
        async move {
            shared.ended().await;
            match shared.ending() {
                Some(Ending::Detached) | None => {
                    Ok(SessionTicket::new(shared.established(), shared.last_zxid()))
                }
                Some(ending) => Err(Error::ended("detach", ending)),
            }
        }
    }

    /// Whether the client was [detached](Self::detach): then it is over, and its session is not.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let ticket = client.detach().await?;
    /// assert!(client.is_detached() && ticket.session_id() == client.session_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_detached(&self) -> bool {
        self.shared().ending() == Some(Ending::Detached)
    }

    /// A view of the same session that writes and reads data as it is.
    pub(crate) fn plain(&self) -> Self {
        Self { codec: Codec::Plain, ..self.clone() }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("session_id", &self.session_id())
            .field("state", &self.state())
            .field("chroot", self.chroot())
            .finish_non_exhaustive()
    }
}
