//! What is told of single requests, to `tracing` and to `metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use znode::{Client, ConnectOptions, CreateMode};
use znode_testing::TestingServer;

use crate::ground::soon;
use znode_tests::support::Capture;

async fn some_requests(client: &Client) {
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    soon(client.get_data("/missing")).await.unwrap_err();
}

#[tokio::test]
async fn each_request_is_traced_with_what_it_was_about() {
    let (capture, _guard) = Capture::start();
    let server = TestingServer::start().await.unwrap();
    let client = soon(Client::connect(&server.connect_string())).await.unwrap();
    some_requests(&client).await;
    let text = capture.text();
    let requests: Vec<&str> =
        text.lines().filter(|line| line.starts_with("TRACE znode::request:")).collect();
    assert_eq!(requests.len(), 2, "{text}");
    let server = server.connect_string();
    for part in ["op=\"create\"", "path=\"/a\"", "xid=1", "zxid=2", "outcome=\"Ok\"", &server] {
        assert!(requests[0].contains(part), "{part}: {}", requests[0]);
    }
    for part in ["op=\"get_data\"", "path=\"/missing\"", "xid=2", "NoNode", "latency_us="] {
        assert!(requests[1].contains(part), "{part}: {}", requests[1]);
    }
    assert!(!text.contains("slow request"));
}

#[tokio::test]
async fn slow_requests_are_warned_of() {
    let (capture, _guard) = Capture::start();
    let server = TestingServer::start().await.unwrap();
    for (limit, told) in [(Duration::from_secs(3600), 0), (Duration::ZERO, 2)] {
        let options = ConnectOptions::new().slow_request(limit);
        let client = soon(options.connect(&server.connect_string())).await.unwrap();
        let chroot = client.with_chroot(&format!("/{told}")).unwrap();
        soon(client.create(chroot.chroot().as_str(), "", CreateMode::Persistent)).await.unwrap();
        soon(chroot.get_data("/missing")).await.unwrap_err();
        let text = capture.text();
        let slow = text.lines().filter(|line| line.contains("message=slow request"));
        let slow: Vec<&str> = slow.collect();
        assert_eq!(slow.len(), told, "{text}");
        assert!(slow.iter().all(|line| line.starts_with("WARN znode::request:")));
    }
}

/// Keeps the newest value of everything, by name and labels.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<BTreeMap<String, f64>>>);

struct Cell(Board, String);

impl Cell {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut values = self.0.0.lock().unwrap();
        let value = values.entry(self.1.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.change(|before| before + f64::from(u32::try_from(value).unwrap()));
    }

    fn absolute(&self, value: u64) {
        self.change(|_| f64::from(u32::try_from(value).unwrap()));
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, _: f64) {
        self.change(|count| count + 1.0);
    }
}

impl Board {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
        Arc::new(Cell(self.clone(), format!("{}{labels:?}", key.name())))
    }

    fn value(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Recorder for Board {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

#[tokio::test]
async fn figures_of_all_clients_go_to_the_recorder_of_the_program() {
    let board = Board::default();
    let _guard = metrics::set_default_local_recorder(&board);
    let server = TestingServer::start().await.unwrap();
    let one = soon(Client::connect(&server.connect_string())).await.unwrap();
    let other = soon(Client::connect(&server.connect_string())).await.unwrap();
    some_requests(&one).await;
    let watchers = [
        soon(one.exists_watched("/w")).await.unwrap().1,
        soon(other.exists_watched("/w")).await.unwrap().1,
    ];
    assert!((board.value("znode_watches[]") - 2.0).abs() < 0.1);
    assert!((board.value("znode_connects_total[]") - 2.0).abs() < 0.1);
    let latencies = r#"znode_request_seconds["get_data", "rejected"]"#;
    assert!((board.value(latencies) - 1.0).abs() < 0.1, "{:?}", board.0);
    drop(watchers);
    soon(one.close()).await.unwrap();
    soon(other.close()).await.unwrap();
    assert!(board.value("znode_watches[]").abs() < 0.1);
    assert!(board.value("znode_requests_in_flight[]").abs() < 0.1);
}
