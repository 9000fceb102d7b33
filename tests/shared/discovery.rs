//! Services that Curator's and ours offer at one path: each finds the other's, and reads all that
//! it says of itself.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Value, json};
use znode_recipes::{Discovery, InstanceChanges, ServiceInstance, ServiceType, Strategy, UriSpec};
use znode_tests::support::soon;

use crate::Site;
use crate::worker::Others;

const SERVICE: &str = "billing";

/// What Curator's says of an instance.
fn told(id: &str, port: u16, kind: &str, payload: &str, enabled: &str) -> String {
    let at = format!("10.0.0.1 {port} 8443 1700000000000 {kind}");
    let uri = format!("https://10.0.0.1:8443/{id}");
    format!("instance {SERVICE} {id} {at} {payload} {uri} {enabled}")
}

/// The same as of [`told`], offered by us.
fn instance(id: &str, port: u16, payload: &Value) -> ServiceInstance {
    let uri = UriSpec::parse("{scheme}://{address}:{ssl-port}/{id}").unwrap();
    let mut instance = ServiceInstance::new(SERVICE, id)
        .with_address("10.0.0.1")
        .with_port(port)
        .with_ssl_port(8443)
        .with_uri_spec(uri)
        .with_payload(payload)
        .unwrap();
    instance.registration_time_utc = 1_700_000_000_000;
    instance
}

async fn see(changes: &mut InstanceChanges, ids: &[&str]) -> Vec<Arc<ServiceInstance>> {
    loop {
        let seen = soon(changes.next()).await.expect("it goes on").unwrap();
        if seen.iter().map(|instance| &instance.id).eq(ids) {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_curators_discovery_and_ours_find_each_others_instances() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        site.make(&path).await;
        // Curator's cache does not make its path anew when a server has reaped it.
        site.make(&format!("{path}/{SERVICE}")).await;
        let client = site.connect().await;
        let discovery = Discovery::new(&client, &path);
        let mut changes = discovery.changes(SERVICE).unwrap();
        let mut theirs = site.worker(Others::Curator, "discovery", &path).await;

        // Ours sees theirs: text, an object with its class, one that rests, one that stays.
        let objects = json!({ "@class": "Worker$Details", "zone": "eu", "weight": 3 });
        let offered = [
            ("their-object", 1001, "DYNAMIC", "eu/3"),
            ("their-text", 1002, "DYNAMIC", "gold"),
            ("their-stay", 1003, "STATIC", "gold"),
            ("resting", 1004, "DYNAMIC", "gold"),
        ];
        for (id, port, kind, payload) in offered {
            let told = format!("register {id} {port} {kind} {payload}");
            assert_eq!(theirs.does(&told).await, [""; 0], "{told}");
        }
        let all = ["resting", "their-object", "their-stay", "their-text"];
        let seen = see(&mut changes, &all).await;
        let find = |id: &str| seen.iter().find(|it| it.id == id).map(|it| (**it).clone()).unwrap();
        assert_eq!(find("their-object"), instance("their-object", 1001, &objects));
        assert_eq!(find("their-text"), instance("their-text", 1002, &json!("gold")));
        assert!(!find("resting").enabled);
        let stays = instance("their-stay", 1003, &json!("gold"));
        assert_eq!(find("their-stay"), stays.with_service_type(ServiceType::Static));
        assert_eq!(find("their-text").uri().as_deref(), Some("https://10.0.0.1:8443/their-text"));
        let provider = discovery.provider(SERVICE, Strategy::round_robin()).unwrap();
        let mut given = Vec::new();
        for _ in 0..3 {
            given.push(
                soon(provider.instance()).await.unwrap().expect("three are asked").id.clone(),
            );
        }
        given.sort_unstable();
        assert_eq!(given, all[1..]);

        // Theirs sees ours.
        let object = instance("our-object", 2001, &objects);
        let text = instance("our-text", 2002, &json!("silver"));
        let object = soon(discovery.register(object)).await.unwrap();
        let mut text = soon(discovery.register(text)).await.unwrap();
        let mut known = vec![
            told("our-object", 2001, "DYNAMIC", "eu/3", "enabled"),
            told("our-text", 2002, "DYNAMIC", "silver", "enabled"),
            told("resting", 1004, "DYNAMIC", "gold", "resting"),
            told("their-object", 1001, "DYNAMIC", "eu/3", "enabled"),
            told("their-stay", 1003, "STATIC", "gold", "enabled"),
            told("their-text", 1002, "DYNAMIC", "gold", "enabled"),
        ];
        assert_eq!(theirs.does("await 6").await, known);
        let mut rests = instance("our-text", 2003, &json!("silver"));
        rests.enabled = false;
        soon(text.update(rests)).await.unwrap();
        let rests = told("our-text", 2003, "DYNAMIC", "silver", "resting");
        assert_eq!(theirs.does("read our-text").await, [rests]);

        // Whoever goes is missed by all.
        soon(text.unregister()).await.unwrap();
        known.remove(1);
        assert_eq!(theirs.does("await 5").await, known);
        for id in ["resting", "their-object", "their-stay"] {
            assert_eq!(theirs.does(&format!("unregister {id}")).await, [""; 0]);
        }
        see(&mut changes, &["our-object", "their-text"]).await;
        soon(object.unregister()).await.unwrap();
        assert_eq!(theirs.does("unregister their-text").await, [""; 0]);
        see(&mut changes, &[]).await;
        theirs.end().await;
    }
}
