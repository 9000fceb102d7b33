//! Stores of certificates and keys in every form, made by Java's own tool, given to our server and
//! to Apache's. Without `ZNODE_TEST_APACHE`, there is no Java, and what it would make is not there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use znode::{Client, ConnectOptions, TlsOptions};
use znode_testing::{ClientAuth, Config, InstanceSpec, ServerTls, ServerTlsError, TestingServer};

use crate::apache::{self, Apache};
use crate::ground::soon;
use znode_tests::support::pki::{Authority, Validity};

const PASSWORD: &str = "tip-top-secret";

/// Runs Java's `keytool`, and tells what it printed.
fn keytool(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("keytool");
    command.current_dir(directory).args(arguments).args(["-storepass", PASSWORD, "-noprompt"]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

/// A key for localhost in `keys`, its certificate in `trusted`; returned in PEM as well.
fn make_stores(directory: &Path, kind: &str, keys: &str, trusted: &str) -> String {
    let key = ["-keyalg", "EC", "-groupname", "secp256r1", "-keypass", PASSWORD];
    let who = ["-alias", "zk", "-dname", "CN=localhost", "-ext", "san=dns:localhost"];
    let keystore = ["-storetype", kind, "-keystore", keys];
    keytool(directory, &[&["-genkeypair"], &key[..], &who, &keystore].concat());
    let pem =
        keytool(directory, &[&["-exportcert", "-rfc", "-alias", "zk"], &keystore[..]].concat());
    fs::write(directory.join("zk.pem"), &pem).unwrap();
    let truststore = ["-storetype", kind, "-keystore", trusted];
    let import = ["-importcert", "-alias", "ca", "-file", "zk.pem"];
    keytool(directory, &[&import[..], &truststore].concat());
    pem
}

fn lines(directory: &Path, keys: &str, trusted: &str) -> Vec<String> {
    vec![
        "secureClientPort=free".to_owned(),
        "secureClientPortAddress=127.0.0.1".to_owned(),
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory".to_owned(),
        format!("ssl.keyStore.location={}", directory.join(keys).display()),
        format!("ssl.keyStore.password={PASSWORD}"),
        format!("ssl.trustStore.location={}", directory.join(trusted).display()),
        format!("ssl.trustStore.password={PASSWORD}"),
        "ssl.clientAuth=want".to_owned(),
    ]
}

async fn ours(directory: &Path, lines: &[String]) -> std::io::Result<TestingServer> {
    let text = format!(
        "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\npreAllocSize=64\n{}\n",
        directory.join("data").display(),
        lines.join("\n").replace("=free", "=0")
    );
    TestingServer::start_with(Config::parse("zoo.cfg", &text).unwrap().into_spec()).await
}

/// Who has no certificate is let in by a server that only wants one, and is nobody.
async fn check(port: u16, pem: &str) {
    let tls = TlsOptions::new().root_certificates(pem);
    let options = ConnectOptions::new().tls(tls);
    let client = soon(options.connect(&format!("tls://localhost:{port}"))).await.unwrap();
    let known = soon(client.who_am_i()).await.unwrap();
    assert!(known.iter().all(|who| who.scheme == "ip"), "{known:?}");
}

#[tokio::test]
async fn the_stores_of_javas_own_tool_are_read_as_apache_reads_them() {
    if !apache::is_wanted() {
        return;
    }
    for (kind, keys, trusted) in [
        ("PKCS12", "keys.p12", "trusted.p12"),
        ("JKS", "keys.jks", "trusted.jks"),
        // Java writes this form into files of the other name, too.
        ("PKCS12", "modern.jks", "modern-trusted.jks"),
    ] {
        let directory = Apache::directory();
        let pem = make_stores(&directory, kind, keys, trusted);
        let lines = lines(&directory, keys, trusted);
        let server = ours(&directory, &lines).await.unwrap();
        check(server.secure_address().unwrap().port(), &pem).await;
        drop(server);
        let theirs = Apache::start(directory, &lines, "");
        check(theirs.configured("secureClientPort").parse().unwrap(), &pem).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_names_key_and_file() {
    if !apache::is_wanted() {
        return;
    }
    for kind in ["PKCS12", "JKS"] {
        let directory = Apache::directory();
        make_stores(&directory, kind, "keys.jks", "trusted.jks");
        let lines = lines(&directory, "keys.jks", "trusted.jks");
        let lines: Vec<_> = lines.iter().map(|line| line.replace(PASSWORD, "wrong")).collect();
        let error = ours(&directory, &lines).await.unwrap_err();
        let error: &ServerTlsError = error.get_ref().unwrap().downcast_ref().unwrap();
        assert!(error.place().starts_with("ssl.trustStore.location=/"), "{error}");
        assert!(error.place().ends_with("/trusted.jks"), "{error}");
        fs::remove_dir_all(&directory).unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_named_before_anybody_is_listened_to() {
    let us = Authority::new("a").issue("us", &["localhost"], Validity::Now);
    let them = Authority::new("b").issue("them", &["localhost"], Validity::Now);
    for (tls, place) in [
        (ServerTls::new("no PEM", us.key.as_str()), "certificate and key"),
        (ServerTls::new(us.pem.as_str(), ""), "certificate and key"),
        (ServerTls::new(us.pem.as_str(), them.key.as_str()), "certificate and key"),
        (
            ServerTls::new(us.pem.as_str(), us.key.as_str())
                .client_certificates(ClientAuth::Want, "no PEM"),
            "issuers of clients",
        ),
    ] {
        let error = TestingServer::start_with(InstanceSpec::new().tls(tls)).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let error: &ServerTlsError = error.get_ref().unwrap().downcast_ref().unwrap();
        assert_eq!(error.place(), place, "{error}");
    }
}

#[tokio::test]
async fn one_port_speaks_both_if_it_is_told_to() {
    let authority = Authority::new("a");
    let identity = authority.issue("zk", &["localhost"], Validity::Now);
    let tls = ServerTls::new(identity.pem, identity.key);
    let spec = InstanceSpec::new().tls(tls);
    let trusting = TlsOptions::new().root_certificates(authority.pem);
    for unified in [false, true] {
        let spec = if unified { spec.clone().unify_ports() } else { spec.clone() };
        let server = TestingServer::start_with(spec).await.unwrap();
        let plain = soon(Client::connect(&server.connect_string())).await.unwrap();
        soon(plain.exists("/")).await.unwrap();
        let port = server.connect_string().rsplit_once(':').unwrap().1.to_owned();
        let secure = format!("tls://localhost:{port}");
        if unified {
            let options = ConnectOptions::new().tls(trusting.clone());
            let client = soon(options.connect(&secure)).await.unwrap();
            soon(client.exists("/")).await.unwrap();
        } else {
            // The server waits for more, as for a frame that is not all there.
            let options = ConnectOptions::new().tls(trusting.clone());
            let in_vain = options.connect_timeout(Duration::from_millis(300));
            soon(in_vain.connect(&secure)).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn a_file_may_have_one_port_speak_both() {
    let authority = Authority::new("a");
    let identity = authority.issue("zk", &["localhost"], Validity::Now);
    let directory = Apache::directory();
    fs::write(directory.join("zk.pem"), format!("{}{}", identity.pem, identity.key)).unwrap();
    let keys = format!("ssl.keyStore.location={}/zk.pem", directory.display());
    let lines = ["client.portUnification=true", "ssl.clientAuth=none", &keys];
    let server = ours(&directory, &lines.map(str::to_owned)).await.unwrap();
    assert_eq!(server.secure_address(), None);
    soon(Client::connect(&server.connect_string())).await.unwrap();
    let port = server.connect_string().rsplit_once(':').unwrap().1.to_owned();
    let tls = TlsOptions::new().root_certificates(authority.pem);
    let options = ConnectOptions::new().tls(tls);
    soon(options.connect(&format!("tls://localhost:{port}"))).await.unwrap();
    drop(server);
    fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn a_server_that_speaks_nothing_but_tls_keeps_its_port() {
    let authority = Authority::new("a");
    let identity = authority.issue("zk", &["127.0.0.1"], Validity::Now);
    let directory = Apache::directory();
    fs::write(directory.join("zk.pem"), format!("{}{}", identity.pem, identity.key)).unwrap();
    let text = format!(
        "dataDir={0}/data\nsecureClientPort=0\nsecureClientPortAddress=127.0.0.1\n\
         preAllocSize=64\nssl.clientAuth=none\nssl.keyStore.location={0}/zk.pem\n",
        directory.display()
    );
    let spec = Config::parse("zoo.cfg", &text).unwrap().into_spec();
    let server = TestingServer::start_with(spec).await.unwrap();
    let address = server.connect_string();
    assert!(address.starts_with("tls://127.0.0.1:"), "{address}");
    let tls = TlsOptions::new().root_certificates(authority.pem);
    let client = soon(ConnectOptions::new().tls(tls).connect(&address)).await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.connect_string(), address);
    // The first attempt may still go to the connection that was cut.
    while soon(client.exists("/")).await.is_err() {}
    drop(server);
    fs::remove_dir_all(&directory).unwrap();
}
