//! Servers that speak TLS with each other, and show who they are.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode_tests::support::pki::{Authority, Validity};

use crate::ground::{Ensemble, Kind, Member, soon, turn, until, wants_apache};
use crate::judge::agree;
use crate::load::Load;
use crate::mixed::FIXED;

/// Keys and certificates on a disk, for as long as a test.
struct Safe(PathBuf);

impl Safe {
    fn new(name: &str) -> Self {
        let safe = env::temp_dir().join(format!("znode-{name}-{}", process::id()));
        fs::create_dir_all(&safe).unwrap();
        Self(safe)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A key and a certificate of 127.0.0.1, or of whoever is named.
    fn identity(&self, file: &str, issuer: &Authority, name: &str) -> PathBuf {
        let identity = issuer.issue("server", &[name], Validity::Now);
        self.put(file, &format!("{}{}", identity.key, identity.pem))
    }
}

impl Drop for Safe {
    fn drop(&mut self) {
        let removed = fs::remove_dir_all(&self.0);
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

fn stores(keys: &Path, trusted: &Path) -> Vec<String> {
    vec![
        format!("ssl.quorum.keyStore.location={}", keys.display()),
        "ssl.quorum.keyStore.type=PEM".to_owned(),
        format!("ssl.quorum.trustStore.location={}", trusted.display()),
        "ssl.quorum.trustStore.type=PEM".to_owned(),
        "ssl.quorum.enabledProtocols=TLSv1.3,TLSv1.2".to_owned(),
    ]
}

async fn start(kinds: &[Kind], lines: &[String]) -> Ensemble {
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain([FIXED]).collect();
    Ensemble::start(kinds, 0, &lines).await
}

/// Whoever leads is killed under load, and everybody agrees in the end.
async fn serve(mut ensemble: Ensemble) {
    let mut load = Load::start(ensemble.connect_string(), 3).await;
    load.goes_on(30).await;
    for _ in 0..2 {
        let leader = ensemble.leader().await;
        ensemble.member(leader).kill();
        load.goes_on(30).await;
        ensemble.member(leader).start();
        ensemble.serves(leader).await;
    }
    agree(&mut ensemble, load).await;
}

#[tokio::test]
async fn servers_of_ours_speak_tls_and_nothing_else() {
    let _turn = turn().await;
    let safe = Safe::new("quorum-tls");
    let authority = Authority::new("znode tests");
    let keys = safe.identity("keys.pem", &authority, "127.0.0.1");
    let mut lines = stores(&keys, &safe.put("trusted.pem", &authority.pem));
    lines.push("sslQuorum=true".to_owned());
    let ensemble = start(&[Kind::Ours; 3], &lines).await;
    // Whoever speaks plain text, as a server that knows no better, is heard by nobody.
    for member in &ensemble.members {
        for number in 1..=3 {
            let (_, election) = member.peer_ports(number);
            let mut stream = soon(TcpStream::connect(election)).await.unwrap();
            stream.write_all(&(-65_536_i64).to_be_bytes()).await.unwrap();
            let mut told = Vec::new();
            // An alert, perhaps, and the end.
            let _ = soon(stream.read_to_end(&mut told)).await;
            assert!(told.len() < 16, "{told:?}");
        }
    }
    serve(ensemble).await;
}

/// The third server shows what is wrong, and has started; the others serve without it.
async fn is_let_in_only_with(mut ensemble: Ensemble, right: &str, wrong: &str) {
    let mut load = Load::start(ensemble.connect_string(), 2).await;
    load.goes_on(100).await;
    // It has tried, or the others have.
    let logs: Vec<_> = ensemble.members.iter().map(Member::log).collect();
    until(async || {
        let tells =
            |log: &PathBuf| fs::read_to_string(log).unwrap().contains("another server has failed");
        logs.iter().any(tells).then_some(())
    })
    .await;
    let third = ensemble.member(3);
    let told = crate::words::ask(&third.address, "srvr").await;
    assert!(!told.unwrap_or_default().contains("Mode:"), "with {wrong} it is let in");
    third.kill();
    third.rewrite(|config| config.replace(wrong, right));
    third.start();
    ensemble.serves(3).await;
    agree(&mut ensemble, load).await;
}

#[tokio::test]
async fn whoever_has_another_certificate_is_none_of_them() {
    let _turn = turn().await;
    let safe = Safe::new("quorum-strangers");
    let authority = Authority::new("znode tests");
    let trusted = safe.put("trusted.pem", &authority.pem);
    let keys = safe.identity("keys.pem", &authority, "127.0.0.1");
    let strange = safe.identity("strange.pem", &Authority::new("somebody"), "127.0.0.1");
    let misnamed = safe.identity("misnamed.pem", &authority, "elsewhere.example.org");
    for (wrong, name_counts) in [(&strange, true), (&strange, false), (&misnamed, true)] {
        let mut lines = stores(&keys, &trusted);
        lines.push("sslQuorum=true".to_owned());
        lines.push(format!("ssl.quorum.hostnameVerification={name_counts}"));
        let mut ensemble = start(&[Kind::Ours; 3], &lines).await;
        let third = ensemble.member(3);
        third.stop().await;
        let right = keys.display().to_string();
        third.rewrite(|config| config.replace(&right, &wrong.display().to_string()));
        third.start();
        is_let_in_only_with(ensemble, &right, &wrong.display().to_string()).await;
    }
}

/// Whoever connects comes from an address, and certificates are mostly for hosts.
#[tokio::test]
async fn a_certificate_may_be_for_a_host_that_is_found_where_somebody_comes_from() {
    let _turn = turn().await;
    let safe = Safe::new("quorum-hosts");
    let authority = Authority::new("znode tests");
    let trusted = safe.put("trusted.pem", &authority.pem);
    let keys = safe.identity("keys.pem", &authority, "127.0.0.1");
    let of_host = safe.identity("host.pem", &authority, "localhost");
    let elsewhere = safe.identity("elsewhere.pem", &authority, "elsewhere.invalid");
    let mut lines = stores(&keys, &trusted);
    lines.push("sslQuorum=true".to_owned());
    let mut ensemble = start(&[Kind::Ours; 3], &lines).await;
    let [address, right, wrong] = [&keys, &of_host, &elsewhere].map(|at| at.display().to_string());
    for number in 1..=3 {
        let member = ensemble.member(number);
        member.stop().await;
        let shows = if number == 3 { &wrong } else { &right };
        member.rewrite(|config| {
            let found = config.replace("=127.0.0.1:", "=localhost:");
            assert_ne!(found, *config, "servers are found by name");
            found.replace(&address, shows)
        });
    }
    (1..=3).for_each(|number| ensemble.member(number).start());
    is_let_in_only_with(ensemble, &right, &wrong).await;
}

/// As an ensemble is brought to TLS without a stop.
#[tokio::test]
async fn plain_text_and_tls_are_spoken_side_by_side() {
    let _turn = turn().await;
    let safe = Safe::new("quorum-both");
    let authority = Authority::new("znode tests");
    let keys = safe.identity("keys.pem", &authority, "127.0.0.1");
    let mut lines = stores(&keys, &safe.put("trusted.pem", &authority.pem));
    lines.push("portUnification=true".to_owned());
    let mut ensemble = start(&[Kind::Ours; 3], &lines).await;
    let mut load = Load::start(ensemble.connect_string(), 3).await;
    for (before, after) in [
        ("portUnification=true", "portUnification=true\nsslQuorum=true"),
        ("portUnification=true\nsslQuorum=true", "sslQuorum=true"),
    ] {
        for number in 1..=3 {
            load.goes_on(20).await;
            let member = ensemble.member(number);
            member.stop().await;
            member.rewrite(|config| config.replace(before, after));
            member.start();
            ensemble.serves(number).await;
        }
    }
    agree(&mut ensemble, load).await;
}

#[tokio::test]
async fn both_kinds_speak_tls_with_each_other() {
    if !wants_apache() {
        return;
    }
    let _turn = turn().await;
    let safe = Safe::new("quorum-mixed");
    let authority = Authority::new("znode tests");
    let keys = safe.identity("keys.pem", &authority, "127.0.0.1");
    let mut lines = stores(&keys, &safe.put("trusted.pem", &authority.pem));
    lines.push("sslQuorum=true".to_owned());
    for kinds in [[Kind::Ours, Kind::Apache, Kind::Ours], [Kind::Apache, Kind::Ours, Kind::Apache]]
    {
        serve(start(&kinds, &lines).await).await;
    }
}
