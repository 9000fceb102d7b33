//! A server with a secure port: ours, or Apache's.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use znode::{Client, ConnectOptions, Error, ErrorKind, TlsOptions};
use znode_testing::{ClientAuth, InstanceSpec, ServerTls, TestingServer};
pub(crate) use znode_tests::support::soon;

use crate::apache::{self, Apache};
use znode_tests::support::pki::{Authority, Validity};

/// How long a client tries in vain; the second time for a server that was not warm yet.
const IN_VAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(4)];

/// A server, whom it trusts, and who trusts it.
pub(crate) struct Ground {
    /// Who has issued the server's certificate, and those that it accepts.
    pub(crate) authority: Arc<Authority>,
    /// The port that speaks TLS. The server's certificate is for `localhost`.
    pub(crate) secure_port: u16,
    /// `host:port`, in plain text.
    pub(crate) plain: String,
    _backend: Backend,
}

/// What is held on to.
enum Backend {
    Ours { _server: Box<TestingServer> },
    Apache { _shared: Arc<SecureApache> },
}

/// Who is superuser by its certificate.
pub(crate) const SUPER_USER: &str = "CN=root,O=znode tests";

/// A server of Apache's, and who vouches for it. It takes a second to start, so tests that want
/// the same at the same time share one.
struct SecureApache {
    authority: Arc<Authority>,
    server: Apache,
}

/// Those that run: what they are like, and they themselves while a test holds on to them.
static RUNNING: Mutex<Vec<(Validity, bool, Weak<SecureApache>)>> = Mutex::new(Vec::new());

impl Ground {
    /// A server with a valid certificate that asks its clients for none.
    pub(crate) async fn start() -> Self {
        Self::start_with(Validity::Now, false).await
    }

    pub(crate) async fn start_with(validity: Validity, asks_clients: bool) -> Self {
        if apache::is_wanted() {
            return Self::on_apache(SecureApache::running(validity, asks_clients));
        }
        let authority = Arc::new(Authority::new("znode tests"));
        let identity = authority.issue("server", &["localhost"], validity);
        let auth = if asks_clients { ClientAuth::Need } else { ClientAuth::None };
        let tls = ServerTls::new(identity.pem, identity.key)
            .client_certificates(auth, authority.pem.as_str());
        let spec = InstanceSpec::new().tls(tls).x509_super_user(SUPER_USER);
        let server = Box::new(TestingServer::start_with(spec).await.unwrap());
        Self {
            authority,
            secure_port: server.secure_address().unwrap().port(),
            plain: server.connect_string(),
            _backend: Backend::Ours { _server: server },
        }
    }

    fn on_apache(shared: Arc<SecureApache>) -> Self {
        Self {
            authority: Arc::clone(&shared.authority),
            secure_port: shared.server.configured("secureClientPort").parse().unwrap(),
            plain: shared.server.address.clone(),
            _backend: Backend::Apache { _shared: shared },
        }
    }

    /// The secure port by the name of the server's certificate.
    pub(crate) fn secure(&self) -> String {
        format!("tls://localhost:{}", self.secure_port)
    }

    /// Trusts the server, and is nobody.
    pub(crate) fn trusting(&self) -> TlsOptions {
        TlsOptions::new().root_certificates(self.authority.pem.as_str())
    }

    pub(crate) async fn connect(&self, tls: TlsOptions) -> Client {
        soon(ConnectOptions::new().tls(tls).connect(&self.secure())).await.unwrap()
    }
}

impl SecureApache {
    fn running(validity: Validity, asks_clients: bool) -> Arc<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, _, server)| server.strong_count() > 0);
        let alike = running.iter().find(|(v, asks, _)| (*v, *asks) == (validity, asks_clients));
        if let Some(server) = alike.and_then(|(_, _, server)| server.upgrade()) {
            return server;
        }
        let server = Arc::new(Self::start(validity, asks_clients));
        running.push((validity, asks_clients, Arc::downgrade(&server)));
        server
    }

    fn start(validity: Validity, asks_clients: bool) -> Self {
        let authority = Arc::new(Authority::new("znode tests"));
        let identity = authority.issue("server", &["localhost"], validity);
        let directory = Apache::directory();
        let (keys, trusted) = (directory.join("keys.pem"), directory.join("trusted.pem"));
        fs::write(&keys, format!("{}{}", identity.key, identity.pem)).unwrap();
        fs::write(&trusted, &authority.pem).unwrap();
        let lines = [
            "secureClientPort=free".to_owned(),
            "secureClientPortAddress=127.0.0.1".to_owned(),
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory".to_owned(),
            "ssl.enabledProtocols=TLSv1.3,TLSv1.2".to_owned(),
            format!("ssl.keyStore.location={}", keys.display()),
            "ssl.keyStore.type=PEM".to_owned(),
            format!("ssl.trustStore.location={}", trusted.display()),
            "ssl.trustStore.type=PEM".to_owned(),
            format!("ssl.clientAuth={}", if asks_clients { "need" } else { "none" }),
            format!("X509AuthenticationProvider.superUser={SUPER_USER}"),
        ];
        Self { authority, server: Apache::start(directory, &lines, "") }
    }
}

/// Why a client does not get through.
pub(crate) async fn refused(tls: TlsOptions, to: &str) -> Error {
    let mut errors = Vec::new();
    for in_vain in IN_VAIN {
        let options = ConnectOptions::new().tls(tls.clone()).connect_timeout(in_vain);
        let error = soon(options.connect(to)).await.unwrap_err();
        if error.kind() != ErrorKind::ConnectTimeout {
            return error;
        }
        errors.push(error);
    }
    errors.remove(0)
}
