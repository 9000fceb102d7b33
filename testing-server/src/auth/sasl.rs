//! The `sasl` scheme, and the server's side of DIGEST-MD5 by which clients come to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use znode::Secret;
use znode::sasl::challenge::Challenge;
use znode::sasl::digest::{Exchange, is_equal};

use super::{Identity, Scheme};

/// The realm, and the server's name in the digest URI.
const SERVER: &str = "zk-sasl-md5";
/// What clients have to say that they want to speak to.
const URI: &str = "zookeeper/zk-sasl-md5";

/// Who may come by a password, and what follows from that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logins {
    /// The password of each user; none if no login is configured.
    pub(crate) users: BTreeMap<String, Secret>,
    /// Users who may do everything: `superUser`, `superUser.x`.
    pub(crate) super_users: Vec<String>,
    /// Whether the scheme may stand in access control lists.
    pub(crate) scheme: bool,
    /// Whom such a list names that any user means: `letAnySaslUserDoX`.
    pub(crate) anyone: Option<String>,
    /// Whether clients that fail may stay as nobody: `allowSaslFailedClients`.
    pub(crate) failed_may_stay: bool,
    /// Schemes one of which a client must be known by before it may ask for anything: with
    /// `sessionRequireClientSASLAuth`, `sasl`; else `enforce.auth.schemes`.
    pub(crate) enforced: Vec<String>,
}

impl Logins {
    /// Whether a client that is known as these may ask for something, where not everybody may.
    pub(crate) fn admit(&self, identities: &[Identity]) -> bool {
        let enforced = |identity: &Identity| self.enforced.iter().any(|s| **s == *identity.scheme);
        identities.iter().any(enforced)
    }

    /// Whether nobody may ask for anything without SASL.
    pub(crate) fn is_required(&self) -> bool {
        self.enforced.iter().any(|scheme| scheme == "sasl")
    }

    /// Who one is that has proved to be this user.
    pub(crate) fn identities(&self, user: &str) -> Vec<Identity> {
        let mut identities = vec![Identity::new("sasl", user)];
        if !user.is_empty() && self.super_users.iter().any(|one| one == user) {
            identities.push(Identity::new("super", ""));
        }
        identities
    }
}

/// How far a client has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Conversation {
    /// Nothing was said.
    #[default]
    Silent,
    /// It was sent a challenge with this nonce.
    Challenged { nonce: String },
    /// It was heard, one way or the other.
    Over,
}

/// What follows on a client's token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A token for the client.
    Challenge(String),
    /// The client is this user, and this is the server's proof.
    Proved { user: String, proof: String },
    /// The client is not who it says; why, for the log.
    Failed(&'static str),
}

impl Conversation {
    /// Takes in a token. `nonce` is used if there is to be a challenge.
    pub(crate) fn answer(&mut self, logins: &Logins, token: &[u8], nonce: String) -> Step {
        match std::mem::replace(self, Self::Over) {
            Self::Silent if token.is_empty() => {
                let challenge = format!(
                    "realm=\"{SERVER}\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess"
                );
                *self = Self::Challenged { nonce };
                Step::Challenge(challenge)
            }
            Self::Silent => Step::Failed("it begins with a response"),
            Self::Challenged { nonce } => match check(logins, token, &nonce) {
                Ok((user, proof)) => Step::Proved { user, proof },
                Err(why) => Step::Failed(why),
            },
            Self::Over => Step::Failed("it goes on after the end"),
        }
    }
}

/// Who has sent a response, and how the server proves that it knows the password, too.
fn check(logins: &Logins, response: &[u8], nonce: &str) -> Result<(String, String), &'static str> {
    let response = Challenge::parse(response).map_err(|_| "its response cannot be read")?;
    let is_utf8 = response.get("charset").is_some();
    let text = |name| response.get(name).map(|value| decoded(value, is_utf8));
    let user = text("username").ok_or("it names no user")?;
    let realm = text("realm").unwrap_or_default();
    if !realm.is_empty() && realm != SERVER {
        return Err("it is for another realm");
    }
    if response.get("nonce") != Some(nonce.as_bytes()) || response.get("nc") != Some(b"00000001") {
        return Err("it answers another challenge");
    }
    if response.get("qop").is_some_and(|qop| qop != b"auth") {
        return Err("it wants protection that is not offered");
    }
    let uri = response.get("digest-uri").unwrap_or_default();
    if !uri.eq_ignore_ascii_case(URI.as_bytes()) {
        return Err("it is for another service");
    }
    let cnonce = response.get("cnonce").ok_or("it has no nonce")?;
    let shown = response.get("response").ok_or("it proves nothing")?;
    let password = logins.users.get(&user);
    let nothing = Secret::default();
    let exchange = Exchange {
        user: &user,
        realm: &realm,
        password: password.unwrap_or(&nothing).expose(),
        authzid: response.get("authzid").filter(|authzid| !authzid.is_empty()),
        nonce: nonce.as_bytes(),
        cnonce,
        uri,
    };
    // Computed for unknown users as well, so that the time tells nobody who is known.
    let knows = is_equal(shown, exchange.response().as_bytes());
    if password.is_none() || !knows {
        return Err("it does not know the password");
    }
    let proof = format!("rspauth={}", exchange.proof());
    Ok((user, proof))
}

/// Text that is UTF-8, or ISO 8859-1 if that was not said.
fn decoded(value: &[u8], is_utf8: bool) -> String {
    if is_utf8 {
        String::from_utf8_lossy(value).into_owned()
    } else {
        value.iter().map(|byte| char::from(*byte)).collect()
    }
}

/// Text that nobody can foresee who does not know the seed, and that never comes twice.
pub(crate) fn nonce(seed: [u64; 2], count: u64) -> String {
    let mut hash = Sha1::new();
    for part in [seed[0], seed[1], count] {
        hash.update(part.to_be_bytes());
    }
    STANDARD.encode(hash.finalize())
}

/// The `sasl` scheme. What a client is known by was settled when it began its session, so that
/// there is nothing that it could send.
#[derive(Debug)]
pub(crate) struct Sasl {
    anyone: Option<Box<str>>,
}

impl Sasl {
    /// The scheme, with whom a list names that any user means.
    pub(crate) fn new(anyone: Option<Box<str>>) -> Self {
        Self { anyone }
    }
}

impl Scheme for Sasl {
    fn name(&self) -> &str {
        "sasl"
    }

    fn authenticate(&self, _peer: IpAddr, _auth: Option<&[u8]>) -> Option<Vec<Identity>> {
        None
    }

    /// A name without an `@`, or a Kerberos principal: `service[/host]@realm`.
    fn is_valid(&self, id: &str) -> bool {
        let Some((name, realm)) = id.split_once('@') else { return true };
        !realm.contains(['@', '/']) && name.matches('/').count() <= 1
    }

    fn matches(&self, id: &str, named: &str) -> bool {
        id == "super" || id == named || self.anyone.as_deref() == Some(named)
    }

    fn is_authenticated(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use znode::sasl::{SaslConversation, SaslMechanism, SaslStep};
    use znode::{DigestMd5, HostPort};

    fn logins() -> Logins {
        let users = [("bob", "secret"), ("J\u{fc}rgen", "\u{3c0}")];
        let users = users.map(|(user, password)| (user.to_owned(), Secret::from(password)));
        Logins { users: users.into(), ..Logins::default() }
    }

    fn client(user: &str, password: &str) -> Box<dyn SaslConversation> {
        DigestMd5::new(user, password).begin(&HostPort::new("h", 1), [7; 16])
    }

    /// What comes of a whole conversation.
    fn talk(user: &str, password: &str) -> (Step, Box<dyn SaslConversation>) {
        let mut client = client(user, password);
        let mut server = Conversation::default();
        let opening = client.open().unwrap();
        let Step::Challenge(challenge) = server.answer(&logins(), &opening, nonce([1, 2], 3))
        else {
            panic!("no challenge");
        };
        let Ok(SaslStep::Send(response)) = client.answer(Some(challenge.as_bytes())) else {
            panic!("no response");
        };
        (server.answer(&logins(), &response, String::new()), client)
    }

    #[test]
    fn both_sides_prove_that_they_know_the_password() {
        for (user, password) in [("bob", "secret"), ("J\u{fc}rgen", "\u{3c0}")] {
            let (step, mut client) = talk(user, password);
            let Step::Proved { user: proved, proof } = step else { panic!("{step:?}") };
            assert_eq!(proved, user);
            assert_eq!(client.answer(Some(proof.as_bytes())).unwrap(), SaslStep::Done);
        }
    }

    #[test]
    fn who_does_not_know_the_password_proves_nothing() {
        for (user, password) in [("bob", "wrong"), ("alice", "secret"), ("alice", ""), ("", "")] {
            assert!(matches!(talk(user, password).0, Step::Failed(_)), "{user} {password}");
        }
    }

    #[test]
    fn a_response_counts_for_its_own_challenge_once() {
        let mut first = Conversation::default();
        first.answer(&logins(), b"", "one".to_owned());
        let mut bob = client("bob", "secret");
        let challenge = b"realm=\"zk-sasl-md5\",nonce=\"one\",algorithm=md5-sess";
        let Ok(SaslStep::Send(response)) = bob.answer(Some(challenge)) else { panic!() };
        let mut second = Conversation::default();
        second.answer(&logins(), b"", "two".to_owned());
        assert!(matches!(second.answer(&logins(), &response, String::new()), Step::Failed(_)));
        assert!(matches!(first.answer(&logins(), &response, String::new()), Step::Proved { .. }));
        assert!(matches!(first.answer(&logins(), &response, String::new()), Step::Failed(_)));
        assert!(matches!(first.answer(&logins(), b"", String::new()), Step::Failed(_)));
        let early = Conversation::default().answer(&logins(), &response, String::new());
        assert!(matches!(early, Step::Failed(_)));
    }

    #[test]
    fn names_are_valid_as_kerberos_has_them() {
        let scheme = Sasl::new(Some("anyone".into()));
        for id in ["bob", "a/b", "zk/host@REALM", "bob@REALM", ""] {
            assert!(scheme.is_valid(id), "{id}");
        }
        for id in ["a@b@c", "a/b/c@R", "a@b/c"] {
            assert!(!scheme.is_valid(id), "{id}");
        }
        assert!(scheme.matches("bob", "anyone") && scheme.matches("super", "bob"));
        assert!(!scheme.matches("bob", "alice"));
        assert_ne!(nonce([1, 2], 3), nonce([1, 2], 4));
    }
}
