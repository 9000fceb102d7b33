//! Passwords, keys and the payloads of identities are printed nowhere.

use std::error::Error as StdError;
use std::fmt::{Debug, Write};

use znode::proto::JutePut;
use znode::{Acl, ConnectOptions, CreateMode, DigestMd5, Perms, Secret, SessionTicket, TlsOptions};
use znode_testing::{Config, InstanceSpec, ServerTls, TestingServer};

use crate::ground::soon;
use znode_tests::support::Capture;
use znode_tests::support::pki::{Authority, Validity};

/// What must not be seen; each in its own place.
const PLANTED: [&str; 5] =
    ["planted-identity", "planted-late", "planted-sasl", "planted-resume", "planted-acl"];

/// A text in which secrets are looked for, as they are and as lists of their bytes.
#[derive(Default)]
struct Searched {
    text: String,
}

impl Searched {
    fn debug(&mut self, what: &impl Debug) {
        writeln!(self.text, "{what:?} {what:#?}").unwrap();
    }

    /// An error, and everything that has caused it.
    fn error(&mut self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            writeln!(self.text, "{error} {error:?}").unwrap();
            next = error.source();
        }
    }

    #[track_caller]
    fn assert_free_of(&self, secret: &[u8]) {
        assert!(secret.len() >= 8, "too short to be told from chance");
        let list = format!("{secret:?}");
        let list = list.trim_matches(['[', ']']);
        let plain = String::from_utf8_lossy(secret);
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for seen in [&plain[..], list] {
            assert!(!text.contains(seen), "{seen:?} is printed in {}", self.text);
        }
    }
}

#[tokio::test]
async fn neither_logs_nor_errors_nor_debug_print_a_secret() {
    let (capture, _guard) = Capture::start();
    let mut searched = Searched::default();
    let server = TestingServer::start().await.unwrap();
    let address = server.connect_string();

    let options = ConnectOptions::new().auth("digest", "bob:planted-identity");
    searched.debug(&options);
    let client = soon(options.connect(&address)).await.unwrap();
    soon(client.add_auth("digest", Secret::from("bob:planted-late"))).await.unwrap();
    let acl = vec![Acl::creator_all()];
    soon(client.with_default_acl(acl).create("/a", "", CreateMode::Persistent)).await.unwrap();
    searched.debug(&client);
    let late = soon(client.add_auth("no-such-scheme", "planted-late")).await.unwrap_err();
    searched.error(&late);

    let acl = Acl::new(Perms::ALL, "digest", "planted-acl").unwrap_err();
    searched.error(&acl);

    let bob = DigestMd5::new("bob", "planted-sasl");
    searched.debug(&bob);
    let options = ConnectOptions::new().sasl(bob);
    searched.debug(&options);
    searched.error(&soon(options.connect(&address)).await.unwrap_err());

    let other = soon(znode::Client::connect(&address)).await.unwrap();
    let password = other.session_password();
    let ticket = soon(other.detach()).await.unwrap();
    searched.debug(&ticket);
    searched.debug(&other);
    let resumed = soon(ConnectOptions::new().resume(ticket).connect(&address)).await.unwrap();
    soon(resumed.close()).await.unwrap();
    let forged = SessionTicket::from_parts(other.session_id(), "planted-resume--", znode::Zxid(0));
    let options = ConnectOptions::new().resume(forged);
    searched.debug(&options);
    searched.error(&soon(options.connect(&address)).await.unwrap_err());

    searched.text += &capture.text();
    assert!(searched.text.contains("session state"), "nothing was captured");
    for secret in PLANTED {
        searched.assert_free_of(secret.as_bytes());
    }
    searched.assert_free_of(&password);
}

#[tokio::test]
async fn a_private_key_is_not_printed_even_if_it_is_no_good() {
    let mut searched = Searched::default();
    let us = Authority::new("a").issue("us", &[], Validity::Now);
    let them = Authority::new("b").issue("them", &[], Validity::Now);
    let tls = TlsOptions::new().client_certificate(us.pem, them.key.as_str());
    searched.debug(&tls);
    let options = ConnectOptions::new().tls(tls);
    searched.debug(&options);
    searched.error(&soon(options.connect("tls://localhost:1")).await.unwrap_err());
    for line in them.key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')) {
        searched.assert_free_of(line.as_bytes());
    }
}

#[tokio::test]
async fn our_server_does_not_print_what_it_is_told() {
    let (capture, _guard) = Capture::start();
    let mut searched = Searched::default();
    let us = Authority::new("a").issue("us", &["localhost"], Validity::Now);
    let tls = ServerTls::new(us.pem, us.key.as_str());
    let spec = InstanceSpec::new().tls(tls).sasl_user("bob", "planted-sasl");
    searched.debug(&spec);
    let server = TestingServer::start_with(spec).await.unwrap();
    searched.debug(&server);
    let wrong = ConnectOptions::new().sasl(DigestMd5::new("bob", "planted-late"));
    searched.error(&soon(wrong.connect(&server.connect_string())).await.unwrap_err());

    let lines = "dataDir=/d\nclientPort=0\nssl.keyStore.password=planted-resume\n\
                 SASLAuthenticationProvider.superPassword : planted-acl\n";
    let config = Config::parse("zoo.cfg", lines).unwrap();
    searched.debug(&config);
    searched.debug(&config.into_spec());
    searched.text += &capture.text();
    assert!(searched.text.contains("SASL has failed"), "nothing was captured");
    for secret in PLANTED {
        searched.assert_free_of(secret.as_bytes());
    }
    for line in us.key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')) {
        searched.assert_free_of(line.as_bytes());
    }
}

#[test]
fn records_in_the_machine_are_not_printed() {
    use znode::session::{Input, Request, WatchEffect};

    let mut body = Vec::new();
    body.put_string("planted-identity");
    let request = Request {
        op: znode::proto::OpCode::Auth,
        body: &body,
        watch: WatchEffect::None,
        reply: "nobody",
    };
    let mut searched = Searched::default();
    searched.debug(&Input::Submit(request));
    searched.assert_free_of(b"planted-identity");
}
