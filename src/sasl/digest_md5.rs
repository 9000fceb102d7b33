//! DIGEST-MD5 (RFC 2831) with quality of protection `auth`, as ZooKeeper's servers have it.

use std::fmt;

use super::challenge::{Challenge, quoted};
use super::digest::{Exchange, encoded, hex, is_equal};
use super::{SaslConversation, SaslError, SaslMechanism, SaslStep};
use crate::connect_string::HostPort;
use crate::secret::Secret;

/// The realm, and the server's name in the digest URI, unless the server names another realm.
const SERVER: &str = "zk-sasl-md5";

/// The service in the digest URI.
const SERVICE: &str = "zookeeper";

/// The largest message in protected layers, of which there are none here; sent for form's sake.
const MAXBUF: usize = 65536;

/// Proves that one knows a password without sending it; the server proves the same.
///
/// The mechanism is old, and what is overheard allows to guess passwords at leisure: use it over
/// TLS. ZooKeeper's servers have it if their JAAS configuration names `DigestLoginModule` and they
/// do not run in FIPS mode.
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use znode::{ConnectOptions, DigestMd5};
///
/// let bob = DigestMd5::new("bob", "secret");
/// let client = ConnectOptions::new().sasl(bob).connect("zk1:2181").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DigestMd5 {
    user: String,
    password: Secret,
    /// `service/server`.
    uri: String,
}

impl DigestMd5 {
    /// A user and a password.
    ///
    /// In the hash, text is ISO 8859-1 where that has all its characters, and UTF-8 otherwise.
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        let uri = format!("{SERVICE}/{SERVER}");
        Self { user: user.into(), password: password.into(), uri }
    }

    /// The same, for servers that call themselves other than `zookeeper/zk-sasl-md5`, which is the
    /// name of ZooKeeper's own unless `zookeeper.server.principal` is set.
    ///
    /// ```
    /// let bob = znode::DigestMd5::new("bob", "secret").digest_uri("zookeeper/zk.example.com");
    /// assert!(!format!("{bob:?}").contains("secret"));
    /// ```
    #[must_use]
    pub fn digest_uri(self, uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), ..self }
    }
}

impl SaslMechanism for DigestMd5 {
    fn begin(&self, _: &HostPort, random: [u8; 16]) -> Box<dyn SaslConversation> {
        Box::new(Conversation { who: self.clone(), cnonce: hex(&random), phase: Phase::Opening })
    }
}

/// One exchange: our empty token, a challenge, our response, the server's proof.
struct Conversation {
    who: DigestMd5,
    cnonce: String,
    phase: Phase,
}

enum Phase {
    Opening,
    Challenged {
        /// What the server has to answer.
        proof: String,
    },
    Over,
}

impl SaslConversation for Conversation {
    fn open(&mut self) -> Result<Vec<u8>, SaslError> {
        Ok(Vec::new())
    }

    fn answer(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        let Some(token) = token else {
            return Err(SaslError::new("the server has no login configured"));
        };
        let challenge = Challenge::parse(token)?;
        match &self.phase {
            Phase::Opening => {
                let (response, proof) = self.respond(&challenge)?;
                self.phase = Phase::Challenged { proof };
                Ok(SaslStep::Send(response))
            }
            Phase::Challenged { proof } => {
                let shown = challenge.get("rspauth").unwrap_or_default();
                if !is_equal(shown, proof.as_bytes()) {
                    return Err(SaslError::new("the server does not know the password"));
                }
                self.phase = Phase::Over;
                Ok(SaslStep::Done)
            }
            Phase::Over => Err(SaslError::new("the server goes on after its proof")),
        }
    }
}

impl Conversation {
    /// Our response, and the proof that the server has to answer with.
    fn respond(&self, challenge: &Challenge) -> Result<(Vec<u8>, String), SaslError> {
        let nonce = challenge.get("nonce").filter(|nonce| !nonce.is_empty());
        let nonce = nonce.ok_or_else(|| SaslError::new("the challenge has no nonce"))?;
        if challenge.get("qop").is_some() && !challenge.offers("qop", "auth") {
            return Err(SaslError::new("the server insists on protection that is not offered"));
        }
        if !challenge.offers("algorithm", "md5-sess") {
            return Err(SaslError::new("the server wants another algorithm than md5-sess"));
        }
        let is_utf8 = challenge.offers("charset", "utf-8");
        let realm = challenge.get("realm").unwrap_or(SERVER.as_bytes());
        let realm = String::from_utf8_lossy(realm);
        let exchange = Exchange {
            user: &self.who.user,
            realm: &realm,
            password: self.who.password.expose(),
            authzid: None,
            nonce,
            cnonce: self.cnonce.as_bytes(),
            uri: self.who.uri.as_bytes(),
        };
        let (response, proof) = (exchange.response(), exchange.proof());

        let mut out = Vec::new();
        if is_utf8 {
            out.extend_from_slice(b"charset=utf-8,");
        }
        let user = quoted(&encoded(&self.who.user, is_utf8));
        let realm = quoted(&encoded(&realm, is_utf8));
        let uri = quoted(self.who.uri.as_bytes());
        for (name, value) in [("username=", user), ("realm=", realm), ("nonce=", quoted(nonce))] {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&value);
            out.push(b',');
        }
        let cnonce = &self.cnonce;
        let rest = format!("nc=00000001,cnonce=\"{cnonce}\",maxbuf={MAXBUF},qop=auth,");
        out.extend_from_slice(rest.as_bytes());
        out.extend_from_slice(b"digest-uri=");
        out.extend_from_slice(&uri);
        out.extend_from_slice(format!(",response={response}").as_bytes());
        Ok((out, proof))
    }
}

impl fmt::Debug for DigestMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestMd5")
            .field("user", &self.user)
            .field("password", &self.password)
            .field("uri", &self.uri)
            .finish()
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("who", &self.who).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(who: DigestMd5, cnonce: &str) -> Conversation {
        Conversation { who, cnonce: cnonce.to_owned(), phase: Phase::Opening }
    }

    fn sent(step: SaslStep) -> String {
        match step {
            SaslStep::Send(token) => String::from_utf8(token).unwrap(),
            SaslStep::Done => panic!("done too early"),
        }
    }

    /// The exchange of RFC 2831, section 4.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let chris = DigestMd5::new("chris", "secret").digest_uri("imap/elwood.innosoft.com");
        let mut talk = conversation(chris, "OA6MHXh6VqTrRk");
        assert_eq!(talk.open().unwrap(), b"");
        let challenge = b"realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",\
            algorithm=md5-sess,charset=utf-8";
        let response = sent(talk.answer(Some(challenge)).unwrap());
        for part in [
            "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\"",
            "nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\"",
            "digest-uri=\"imap/elwood.innosoft.com\"",
            "response=d388dad90d4bbd760a152321f2143af7",
            "qop=auth",
        ] {
            assert!(response.contains(part), "{response}");
        }
        let proof = b"rspauth=ea40f60335c427b5527b84dbabcdfffd";
        assert_eq!(talk.answer(Some(proof)).unwrap(), SaslStep::Done);
        assert!(talk.answer(Some(proof)).is_err());
    }

    #[test]
    fn a_server_that_cannot_prove_itself_is_not_believed() {
        let mut talk = conversation(DigestMd5::new("bob", "secret"), "c");
        let challenge = b"nonce=\"n\",algorithm=md5-sess";
        talk.answer(Some(challenge)).unwrap();
        let error = talk.answer(Some(b"rspauth=ea40f60335c427b5527b84dbabcdfffd")).unwrap_err();
        assert!(error.to_string().contains("does not know the password"));
    }

    #[test]
    fn challenges_that_cannot_be_met_are_refused() {
        for challenge in [
            None,
            Some(&b""[..]),
            Some(b"algorithm=md5-sess"),
            Some(b"nonce=\"n\""),
            Some(b"nonce=\"n\",algorithm=md5-sess,qop=\"auth-conf\""),
        ] {
            let mut talk = conversation(DigestMd5::new("bob", "secret"), "c");
            assert!(talk.answer(challenge).is_err(), "{challenge:?}");
        }
    }

    #[test]
    fn letters_beyond_ascii_are_sent_as_utf_8() {
        let mut talk = conversation(DigestMd5::new("J\u{fc}rgen", "\u{3c0}"), "c");
        let challenge = "realm=\"zk-sasl-md5\",nonce=\"n\",qop=\"auth\",charset=utf-8,\
            algorithm=md5-sess";
        let response = sent(talk.answer(Some(challenge.as_bytes())).unwrap());
        assert!(response.contains("username=\"J\u{fc}rgen\""), "{response}");
    }

    #[test]
    fn nothing_of_it_prints_the_password() {
        let talk = conversation(DigestMd5::new("bob", "tell-nobody"), "c");
        assert!(!format!("{talk:?}").contains("tell-nobody"));
    }
}
