//! Identities of the session's connections.

use crate::client::Client;
use crate::proto::replies::WhoAmIReply;
use crate::proto::requests::AuthRequest;
use crate::proto::{JutePut, OpCode};
use crate::reply::Reply;
use crate::session::WatchEffect;

/// An identity that the server knows this connection by.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::ClientInfo;
///
/// let seen_as: Vec<ClientInfo> = client.who_am_i().await?;
/// let is_bob = seen_as.iter().any(|info| info.scheme == "digest" && info.user == "bob");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientInfo {
    /// The scheme that vouched for it.
    pub scheme: String,
    /// The name, without any secret.
    pub user: String,
}

impl Client {
    /// Adds an identity, as `("digest", "user:password")`. It holds for requests made after this
    /// call, and every new connection of the session is given it again.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.add_auth("digest", "user:password").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `AuthFailed` if the server does not know the scheme or refuses the identity: it closes the
    /// connection then, and the session is over for this client.
    pub fn add_auth(&self, scheme: &str, auth: impl AsRef<[u8]>) -> Reply<()> {
        let encode = |out: &mut Vec<u8>| {
            out.put(&AuthRequest { kind: 0, scheme: scheme.into(), auth: Some(auth.as_ref()) });
        };
        self.call(OpCode::Auth, "add_auth", None, WatchEffect::None, encode, |call, answer| {
            call.accept(answer).map(drop)
        })
    }

    /// The identities that the server knows this connection by, the address among them.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// for identity in client.who_am_i().await? {
    ///     println!("{}: {}", identity.scheme, identity.user);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unimplemented` by servers before 3.7.
    pub fn who_am_i(&self) -> Reply<Vec<ClientInfo>> {
        let none = WatchEffect::None;
        self.call(
            OpCode::WhoAmI,
            "who_am_i",
            None,
            none,
            |_| {},
            |call, answer| {
                let WhoAmIReply { client_info } = call.read(answer)?;
                let infos = client_info.into_iter().map(|info| ClientInfo {
                    scheme: info.scheme.into_owned(),
                    user: info.user.into_owned(),
                });
                Ok(infos.collect())
            },
        )
    }
}
