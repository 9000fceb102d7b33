//! Who a client is by the certificate that it shows, on our server as on Apache's.

use znode::{Acl, Client, CreateMode, ErrorKind, Perms};

use crate::ground::{Ground, soon};
use znode_tests::support::pki::{DnType, Validity};

async fn connect_as(ground: &Ground, name: &[(DnType, &str)]) -> Client {
    let us = ground.authority.issue_named(name);
    ground.connect(ground.trusting().client_certificate(us.pem, us.key)).await
}

async fn known_as(client: &Client) -> Vec<String> {
    let known = soon(client.who_am_i()).await.unwrap();
    known.into_iter().filter(|who| who.scheme == "x509").map(|who| who.user).collect()
}

fn billing() -> [(DnType, &'static str); 3] {
    [
        (DnType::CountryName, "DE"),
        (DnType::OrganizationName, "znode, tests"),
        (DnType::CommonName, "billing"),
    ]
}

/// The name of the one above, as access control lists have it.
const BILLING: &str = r"CN=billing,O=znode\, tests,C=DE";

#[tokio::test]
async fn lists_name_a_client_by_the_subject_of_its_certificate() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let path = "/of-billing";
    let client = connect_as(&ground, &billing()).await;
    let acl = Acl::new(Perms::ALL, "x509", BILLING).unwrap();
    let mine = client.with_default_acl(vec![acl]);
    soon(mine.create(path, "1", CreateMode::Ephemeral)).await.unwrap();
    assert_eq!(&soon(client.get_data(path)).await.unwrap().0[..], b"1");
    assert_eq!(known_as(&client).await, [BILLING]);

    let other = connect_as(&ground, &[(DnType::CommonName, "billing")]).await;
    let plain = soon(Client::connect(&ground.plain)).await.unwrap();
    for stranger in [&other, &plain] {
        let error = soon(stranger.get_data(path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoAuth);
    }
}

#[tokio::test]
async fn auth_in_a_list_stands_for_the_certificate() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let client = connect_as(&ground, &billing()).await;
    let mine = client.with_default_acl(vec![Acl::creator_all()]);
    soon(mine.create("/by-auth", "", CreateMode::Ephemeral)).await.unwrap();
    let (list, _) = soon(client.get_acl("/by-auth")).await.unwrap();
    assert_eq!((list[0].scheme(), list[0].id()), ("x509", BILLING));
}

#[tokio::test]
async fn names_are_printed_as_java_does() {
    let ground = Ground::start_with(Validity::Now, true).await;
    for (common, printed) in [
        ("J\u{fc}rgen \u{3c0}", "CN=J\u{fc}rgen \u{3c0}"),
        (" a+b=c \"d\" <e>; #f\\ ", r#"CN=\ a\+b\=c \"d\" \<e\>\; \#f\\\ "#),
    ] {
        let client = connect_as(&ground, &[(DnType::CommonName, common)]).await;
        assert_eq!(known_as(&client).await, [printed]);
    }
    let unit = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let client = connect_as(&ground, &[(unit, "42"), (DnType::OrganizationalUnitName, "x")]).await;
    assert_eq!(known_as(&client).await, ["OU=x,2.5.4.5=#0c023432"]);
}

#[tokio::test]
async fn a_superuser_by_certificate_may_do_everything() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let client = connect_as(&ground, &billing()).await;
    let acl = Acl::new(Perms::ALL, "x509", "CN=nobody").unwrap();
    let shut = client.with_default_acl(vec![acl]);
    soon(shut.create("/shut", "1", CreateMode::Ephemeral)).await.unwrap();
    assert_eq!(soon(client.get_data("/shut")).await.unwrap_err().kind(), ErrorKind::NoAuth);

    let root = [(DnType::OrganizationName, "znode tests"), (DnType::CommonName, "root")];
    let root = connect_as(&ground, &root).await;
    assert_eq!(&soon(root.get_data("/shut")).await.unwrap().0[..], b"1");
}

#[tokio::test]
async fn only_names_may_stand_in_lists() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let client = connect_as(&ground, &billing()).await;
    for (id, valid) in
        [("CN=a", true), ("OU=b+CN=a, O=c", true), ("billing", false), ("FOO=a", false)]
    {
        let acl = Acl::new(Perms::ALL, "x509", id).unwrap();
        let with = client.with_default_acl(vec![acl]);
        let created = soon(with.create("/valid", "", CreateMode::EphemeralSequential)).await;
        match valid {
            true => drop(created.unwrap()),
            false => {
                let kind = created.unwrap_err().kind();
                assert_eq!(kind, ErrorKind::InvalidAcl, "{id}");
            }
        }
    }
}

#[tokio::test]
async fn who_has_shown_a_certificate_may_say_so_again() {
    let ground = Ground::start_with(Validity::Now, true).await;
    let client = connect_as(&ground, &billing()).await;
    soon(client.add_auth("x509", "")).await.unwrap();
    assert_eq!(known_as(&client).await, [BILLING]);
    let plain = soon(Client::connect(&ground.plain)).await.unwrap();
    let error = soon(plain.add_auth("x509", "")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
}
