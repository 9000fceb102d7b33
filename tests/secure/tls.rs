//! Whom a client trusts, and who it says it is.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{ready, try_join_all};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use znode::{
    ConnectOptions, Connector, CreateMode, ErrorKind, HostPort, Outcome, Scheme, State,
    TcpConnector, TlsConnector, TlsError, TlsFault, TlsOptions,
};

use znode_testing::{InstanceSpec, ServerTls, TestingServer};

use crate::ground::{Ground, refused, soon};
use znode_tests::support::pki::{Authority, Validity};

/// A session that a test can wait for the end of.
const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_server_that_is_trusted_is_spoken_to() {
    let ground = Ground::start().await;
    let client = ground.connect(ground.trusting()).await;
    soon(client.create("/a", "1", CreateMode::Persistent)).await.unwrap();
    let plain = soon(znode::Client::connect(&ground.plain)).await.unwrap();
    let (data, _) = soon(plain.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"1");
    soon(client.close()).await.unwrap();
}

/// More than the buffers of TLS and of sockets hold, both ways at once: a flush that was not done
/// at the first attempt must go on.
#[tokio::test]
async fn much_at_once_gets_through() {
    let ground = Ground::start().await;
    let client = ground.connect(ground.trusting()).await;
    soon(client.create("/much", "", CreateMode::Persistent)).await.unwrap();
    let data = vec![b'x'; 900_000];
    let writes = (0..12).map(|_| client.set_data("/much", &data, -1));
    let writes: Vec<_> = writes.collect();
    let reads: Vec<_> = (0..12).map(|_| client.get_data("/much")).collect();
    soon(try_join_all(writes)).await.unwrap();
    for (read, _) in soon(try_join_all(reads)).await.unwrap() {
        assert_eq!(read.len(), data.len());
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_it() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let us = ground.authority.issue("billing", &[], Validity::Now);
    let tls = ground.trusting().client_certificate(us.pem, us.key);
    let client = ground.connect(tls).await;
    let known = soon(client.who_am_i()).await.unwrap();
    let x509: Vec<_> = known.iter().filter(|info| info.scheme == "x509").collect();
    assert_eq!(x509.len(), 1, "{known:?}");
    assert_eq!(x509[0].user, "CN=billing");
}

#[tokio::test]
async fn who_has_no_certificate_is_refused_by_a_server_that_asks() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let stranger = Authority::new("strangers").issue("billing", &[], Validity::Now);
    let forged = ground.trusting().client_certificate(stranger.pem, stranger.key);
    for tls in [ground.trusting(), forged] {
        let error = refused(tls, &ground.secure()).await;
        // Whether the alert is read before the connection is reset is up to the network.
        let told = matches!(error.kind(), ErrorKind::Tls(TlsFault::Refused));
        assert!(told || error.kind() == ErrorKind::ConnectTimeout, "{error:?}");
    }
}

/// Of our server alone: what it does with those who never get through a handshake.
async fn our_secure_server() -> (TestingServer, SocketAddr, TlsOptions) {
    let authority = Authority::new("a");
    let identity = authority.issue("zk", &["localhost"], Validity::Now);
    let tls = ServerTls::new(identity.pem, identity.key);
    let server = TestingServer::start_with(InstanceSpec::new().tls(tls)).await.unwrap();
    let address = server.secure_address().unwrap();
    (server, address, TlsOptions::new().root_certificates(authority.pem))
}

/// What `mntr` tells of one thing.
async fn figure(server: &TestingServer, name: &str) -> u64 {
    let mut stream = TcpStream::connect(server.connect_string()).await.unwrap();
    stream.write_all(b"mntr").await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_no_tls_is_counted_and_closed() {
    let (server, address, trusting) = our_secure_server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"ruok, this is plain text").await.unwrap();
    // An alert may come first, or a reset instead of an end.
    let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    assert_eq!(figure(&server, "zk_unsuccessful_handshake").await, 1);
    assert_eq!(figure(&server, "zk_outstanding_tls_handshake").await, 0);
    let options = ConnectOptions::new().tls(trusting);
    let secure = format!("tls://localhost:{}", address.port());
    let client = soon(options.connect(&secure)).await.unwrap();
    soon(client.exists("/")).await.unwrap();
}

/// With time paused, ten seconds pass as soon as there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn who_never_finishes_a_handshake_is_closed() {
    let (server, address, _) = our_secure_server().await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(silent.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&[0x16, 3, 1]).await.unwrap();
    assert_eq!(slow.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!(figure(&server, "zk_sessionless_connections_expired").await, 2);
    assert_eq!(figure(&server, "zk_num_alive_connections").await, 1);
}

#[tokio::test]
async fn a_server_that_is_stopped_cuts_what_is_encrypted() {
    let (server, address, trusting) = our_secure_server().await;
    let options = ConnectOptions::new().tls(trusting).session_timeout(Duration::from_secs(30));
    let client = soon(options.connect(&format!("tls://localhost:{}", address.port()))).await;
    let client = client.unwrap();
    soon(client.create("/kept", "", CreateMode::Ephemeral)).await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.secure_address(), Some(address));
    // Requests that were on their way are lost; the session is not.
    while soon(client.exists("/kept")).await.ok().flatten().is_none() {
        assert_ne!(client.state(), State::Expired);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_taken() {
    let ground = Ground::start().await;
    let other = format!("tls://127.0.0.1:{}", ground.secure_port);
    let error = refused(ground.trusting(), &other).await;
    assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::WrongName));
    assert_eq!(error.outcome(), Outcome::NotSent);
    let tls: &TlsError = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(tls.host(), Some(&other[..]));
    assert!(tls.source().unwrap().downcast_ref::<rustls::Error>().is_some());
    assert!(error.to_string().contains("another name"), "{error}");
}

#[tokio::test]
async fn a_certificate_from_a_stranger_is_not_taken() {
    let ground = Ground::start().await;
    let others = Authority::new("others");
    for tls in [TlsOptions::new(), TlsOptions::new().root_certificates(others.pem.as_str())] {
        let error = refused(tls, &ground.secure()).await;
        assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::UnknownIssuer));
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_not_taken() {
    let faults = [(Validity::Past, TlsFault::Expired), (Validity::Future, TlsFault::NotYetValid)];
    for (validity, fault) in faults {
        let ground = Ground::start_with(validity, false).await;
        let error = refused(ground.trusting(), &ground.secure()).await;
        assert_eq!(error.kind(), ErrorKind::Tls(fault));
    }
}

#[tokio::test]
async fn only_what_is_called_dangerous_trusts_anyone() {
    let ground = Ground::start_with(Validity::Past, false).await;
    let client = ground.connect(TlsOptions::new().dangerous_trust_any_server()).await;
    soon(client.exists("/")).await.unwrap();
}

#[tokio::test]
async fn a_ready_configuration_is_taken_as_it_is() {
    let ground = Ground::start().await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ground.authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ground.connect(TlsOptions::from_config(Arc::new(config))).await;
    soon(client.exists("/")).await.unwrap();
}

#[tokio::test]
async fn servers_of_both_schemes_stand_in_one_list() {
    let ground = Ground::start().await;
    let list = format!("tls://127.0.0.1:{},tcp://{}", ground.secure_port, ground.plain);
    let options = ConnectOptions::new().tls(ground.trusting());
    let client = soon(options.connect(&list)).await.unwrap();
    soon(client.exists("/")).await.unwrap();
}

/// One who listens, and has heard of nobody.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("tls://localhost:{port}"))
}

fn has_no_guest(listener: TcpListener) -> bool {
    let listener = listener.into_std().unwrap();
    listener.accept().is_err()
}

#[tokio::test]
async fn a_secure_server_without_options_is_refused_before_anything_is_sent() {
    let (listener, secure) = listener().await;
    let plain_only = ConnectOptions::new().connector(TcpConnector);
    for options in [ConnectOptions::new(), plain_only] {
        let error = soon(options.connect(&secure)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::NotConfigured));
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
    assert!(has_no_guest(listener));
}

#[tokio::test]
async fn options_that_cannot_be_read_are_refused_before_anything_is_sent() {
    let (listener, secure) = listener().await;
    let us = Authority::new("a").issue("us", &[], Validity::Now);
    let them = Authority::new("b").issue("them", &[], Validity::Now);
    for tls in [
        TlsOptions::new().root_certificates("no PEM"),
        TlsOptions::new().client_certificate("no PEM", us.key.as_str()),
        TlsOptions::new().client_certificate(us.pem.as_str(), "no PEM"),
        TlsOptions::new().client_certificate(us.pem.as_str(), them.key.as_str()),
    ] {
        let error = refused(tls, &secure).await;
        assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::InvalidOptions));
    }
    assert!(has_no_guest(listener));
}

#[tokio::test]
async fn a_list_that_is_replaced_does_not_bring_plain_text_back() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().session_timeout(SHORT);
    let client = soon(options.connect(&ground.plain)).await.unwrap();
    let (listener, secure) = listener().await;
    client.update_hosts(&secure).unwrap();
    let last = soon(client.states().map(|change| change.state).fold(None, |_, s| ready(Some(s))));
    assert_eq!(last.await, Some(State::Expired));
    assert!(has_no_guest(listener));
}

#[tokio::test]
async fn four_letter_words_are_answered_in_secret_too() {
    let ground = Ground::start().await;
    let connector = TlsConnector::new(&ground.trusting()).unwrap();
    let host = HostPort::new("localhost", ground.secure_port).with_scheme(Scheme::Tls);
    let mut stream = soon(connector.connect(&host)).await.unwrap();
    soon(stream.write_all(b"ruok")).await.unwrap();
    let mut answer = Vec::new();
    // Whether TLS is ended in its own words is up to the server.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"imok");
}

#[tokio::test]
async fn a_connector_of_ones_own_can_speak_tls() {
    let ground = Ground::start().await;
    let connector = TlsConnector::new(&ground.trusting()).unwrap();
    let options = ConnectOptions::new().connector(connector.over(TcpConnector));
    let client = soon(options.connect(&ground.secure())).await.unwrap();
    soon(client.exists("/")).await.unwrap();
}
